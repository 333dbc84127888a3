package wide

import (
	"debug/elf"
	bytesof "encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
)

// shift sets the clock of one running process forward or back, as a step of the machine's clock would: the wall clock jumps, the
// monotonic one does not. A Go program asks the kernel's vDSO for the time, by a pointer that the runtime keeps; it is made to point
// to a few instructions that ask, and then add to what CLOCK_REALTIME says. So the program that runs is the one that is built, and no
// other process of the machine notices.
func (p *process) shift(by time.Duration) error {
	if err := p.freeze(); err != nil {
		return err
	}
	defer func() { _ = p.thaw() }()
	if p.clock == (clock{}) {
		if err := p.takeClock(); err != nil {
			return err
		}
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", p.pid()), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	code := []byte{0x53, 0x89, 0xfb, 0x56, 0x48, 0x83, 0xec, 0x08, 0x48, 0xb8} // push rbx; mov ebx, edi; push rsi; sub rsp, 8; mov rax, asks
	code = bytesof.LittleEndian.AppendUint64(code, p.clock.asks)
	code = append(code, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0x5e, 0x85, 0xdb, 0x75, 0x0d, 0x48, 0xb9) // call rax; add rsp, 8; pop rsi; test ebx, ebx; jnz end; mov rcx, by
	code = bytesof.LittleEndian.AppendUint64(code, uint64(int64(by/time.Second)))
	code = append(code, 0x48, 0x01, 0x0e, 0x5b, 0xc3) // add [rsi], rcx; end: pop rbx; ret
	if _, err := mem.WriteAt(code, int64(p.clock.code)); err != nil {
		return err
	}
	_, err = mem.WriteAt(bytesof.LittleEndian.AppendUint64(nil, p.clock.code), int64(p.clock.pointer))
	return err
}

// takeClock finds where the process keeps what asks for the time, and a place for instructions: the runtime's set-up, which
// has long run and does not run again.
func (p *process) takeClock() error {
	cmd, _ := p.running()
	file, err := elf.Open(cmd.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return err
	}
	for _, s := range symbols {
		switch {
		case s.Name == "runtime.vdsoClockgettimeSym":
			p.clock.pointer = s.Value
		case s.Name == "runtime.schedinit" && s.Size > 256:
			p.clock.code = s.Value + 64
		}
	}
	if p.clock.pointer == 0 || p.clock.code == 0 {
		return fmt.Errorf("the clock of %s is not where it is looked for", cmd.Path)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", p.pid()))
	if err != nil {
		return err
	}
	defer mem.Close()
	var word [8]byte
	if _, err := mem.ReadAt(word[:], int64(p.clock.pointer)); err != nil {
		return err
	}
	if p.clock.asks = bytesof.LittleEndian.Uint64(word[:]); p.clock.asks == 0 {
		return fmt.Errorf("%s does not ask the vDSO for the time", p.name)
	}
	return nil
}

// TestClockJumps sets the clocks of one API process and of one worker an hour forward and an hour back while jobs run, one of them the
// process that has the reconciler's loop, which goes by age. They go by the database's clock then, and sign what they ask the object
// store by its own.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 2, workers: 2})
	l := in.drive(t)
	jumped := map[*node]bool{in.apis[0]: true, in.workers[0]: true}
	reconciled := 0 // jumps of a process that had the loop before and after
	for _, by := range []time.Duration{time.Hour, -time.Hour, 0} {
		running := l.client.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+l.configs["plain"]+"/jobs", macros("WIDE_SECONDS", "8")).text("id")
		l.accept(running, "FINISHED")
		pause(t, 2*time.Second)
		holder := in.reconciles(t)
		jumped[holder] = true
		for n := range jumped {
			if err := n.shift(by); err != nil {
				t.Fatal(err)
			}
		}
		in.clockSays(t, in.apis[0], by)
		there := &rest{token: l.client.token, base: func() string { return in.apis[0].url }} // a token of before is good at a process whose clock jumped
		a := there.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+l.configs["plain"]+"/jobs", macros("WIDE_SECONDS", "0.5"))
		l.accept(a.text("id"), "FINISHED")
		b := there.finish(t, a.text("id"), endsWithin)
		fresh := in.admin(t, in.apis[0])
		fresh.base = func() string { return in.apis[1].url } // and one of such a process elsewhere
		fresh.must(t, http.StatusOK, http.MethodGet, "/api/jobs/"+running, nil)
		a = l.client.finish(t, running, endsWithin)
		pause(t, 8*time.Second) // more than a lost worker is given
		t.Logf("clocks %s off: jobs ended as %s in attempt %s and as %s in attempt %s", by, a.text("status"), a.text("attempt"), b.text("status"), b.text("attempt"))
		in.timesAreRight(t)
		if by != 0 && in.reconciles(t) == holder {
			reconciled++
		}
	}
	if reconciled == 0 {
		t.Error("the reconciler's loop left each process whose clock jumped: nothing was shown of it")
	}
	l.recovered(t, time.Now())
	l.calm(t)
	in.stop(t)
	for _, n := range in.nodes() {
		if strings.Contains(n.said(), "terminate a workflow") {
			t.Errorf("%s ended the workflow of a job that had just ended", n.name)
		}
	}
}

// reconciles finds the process that has the reconciler's loop: Temporal knows whom it gave it to.
func (in *installation) reconciles(t *testing.T) (holder *node) {
	t.Helper()
	const words = "this process has the reconciler's loop"
	err := within(t.Context(), time.Minute, func() error {
		d, err := in.temporal.DescribeWorkflowExecution(t.Context(), "reconciler", "")
		if err != nil {
			return err
		}
		if len(d.GetPendingActivities()) == 0 || d.GetPendingActivities()[0].GetState() != enums.PENDING_ACTIVITY_STATE_STARTED {
			return errors.New("nobody has the loop")
		}
		given := d.GetPendingActivities()[0]
		for _, n := range in.nodes() {
			// An identity begins with the pid, as the SDK makes it.
			if strings.HasPrefix(given.GetLastWorkerIdentity(), fmt.Sprintf("%d@", n.pid())) && strings.Contains(n.said(), words) {
				holder = n
				return nil
			}
		}
		return fmt.Errorf("%q has the loop, and is no process of this test, or does not say so", given.GetLastWorkerIdentity())
	})
	if err != nil {
		t.Fatal(err)
	}
	return holder
}

// timesAreRight: no process writes times that are off.
func (in *installation) timesAreRight(t *testing.T) {
	t.Helper()
	const query = `SELECT count(*) FROM (SELECT unnest(ARRAY[scheduled_at, received_at, started_at, finished_at, written_at]) AS at FROM jobs) times
		WHERE abs(at - extract(epoch FROM clock_timestamp()) * 1000000) > 30 * 60 * 1000000::bigint`
	var wrong int
	if err := in.db.QueryRowContext(t.Context(), query).Scan(&wrong); err != nil {
		t.Fatal(err)
	}
	if wrong > 0 {
		t.Errorf("%d times of jobs are more than half an hour off", wrong)
	}
}

// clockSays checks by the Date of an answer that the process has the clock that it was given.
func (in *installation) clockSays(t *testing.T, n *node, by time.Duration) {
	t.Helper()
	a := (&rest{base: func() string { return n.url }}).call(t.Context(), http.MethodGet, "/healthz", nil)
	at, err := http.ParseTime(a.header.Get("Date"))
	if off := time.Until(at) - by; err != nil || off.Abs() > 5*time.Minute {
		t.Fatalf("the process says it is %s (%v), want %s off", a.header.Get("Date"), err, by)
	}
}
