package wide

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// BenchmarkScale measures Waybill on real servers, once; docs/performance.md has what it found:
//
//	make scale
//
// Everything shares one machine: the load, the servers and Waybill's processes. So the figures are ratios between its lines.
func BenchmarkScale(b *testing.B) {
	b.Run("embedded", benchEmbedded)
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("wide/workers=%d", workers), func(b *testing.B) { benchWide(b, workers) })
	}
	b.Run("queued", benchQueued)
}

// What is measured of each set-up.
const (
	scaleSerial = 100 // no-op jobs, one at a time
	scaleJobs   = 600 // no-op jobs by scaleAtOnce callers
	scaleAtOnce = 32
	scaleSlow   = 96 // jobs of two seconds that need no processor, in eight places of each worker
	scaleQueued = 5000
)

// benchEmbedded measures waybill up, all of it in one process.
func benchEmbedded(b *testing.B) {
	port, err := freePort()
	if err != nil {
		b.Fatal(err)
	}
	data := filepath.Join(folder, strings.ReplaceAll(b.Name(), "/", "-"))
	up := &process{name: "up", logs: data + ".log"}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	up.up = answers(url + "/readyz")
	up.cmd = func() *exec.Cmd {
		cmd := exec.Command(binary, "up", "--data", data, "--listen", strings.TrimPrefix(url, "http://"), "--engine-listen", "127.0.0.1:0", "--engine-ui-listen", "127.0.0.1:0")
		cmd.Env = append(environment(), "WAYBILL_ADMIN_PASSWORD="+password, "WAYBILL_DATES=rfc3339")
		return cmd
	}
	b.Cleanup(up.put)
	if err := up.start(b.Context()); err != nil {
		b.Fatal(err)
	}
	m := newMeasure(b, func() string { return url })
	m.noops(b)
	m.resident(b, up)
	if err := up.stop(); err != nil {
		b.Error(err)
	}
}

// benchWide measures two API processes and some workers, each with eight places.
func benchWide(b *testing.B, workers int) {
	in := install(b, shape{apis: 2, workers: workers})
	m := newMeasure(b, in.anyAPI())
	m.noops(b)
	m.slow(b)
	m.resident(b, append(processes(in.nodes()), in.database, in.objects, in.engine)...)
	in.stop(b)
}

// benchQueued measures how jobs that wait for a worker are accepted, and how two workers take them up.
func benchQueued(b *testing.B) {
	in := install(b, shape{apis: 2})
	m := newMeasure(b, in.anyAPI())
	config := m.client.configure(b, "queued", "exit 0\n", nil)
	began := time.Now()
	took := m.each(b, scaleQueued, scaleAtOnce, func(ctx context.Context) error { return m.submit(ctx, config) })
	m.print(b, "accepted, no worker", took, time.Since(began))
	began = time.Now()
	for range 2 {
		in.addWorker(b)
	}
	err := within(b.Context(), 30*time.Minute, func() error {
		var open int
		row := in.db.QueryRowContext(b.Context(), "SELECT count(*) FROM jobs WHERE status NOT IN ('completed', 'failed', 'cancelled')")
		if err := row.Scan(&open); err != nil || open > 0 {
			return errors.Join(err, fmt.Errorf("%d jobs are open", open))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	m.print(b, "drained by two workers", make([]time.Duration, scaleQueued), time.Since(began))
	m.resident(b, append(processes(in.nodes()), in.database, in.objects, in.engine)...)
	in.stop(b)
}

// anyAPI gives one API process after the other.
func (in *installation) anyAPI() func() string {
	var n atomic.Int64
	return func() string { return in.apis[int(n.Add(1))%len(in.apis)].url }
}

func processes(nodes []*node) (all []*process) {
	for _, n := range nodes {
		all = append(all, n.process)
	}
	return all
}

// measure is a load on one set-up.
type measure struct{ client *rest }

func newMeasure(b *testing.B, base func() string) *measure {
	b.Helper()
	c := &rest{base: base}
	c.token = c.must(b, http.StatusOK, http.MethodPost, "/api/login", object{"username": "admin", "password": password}).text("access_token")
	return &measure{client: c}
}

// noops runs programs that do nothing, one at a time and many at once.
func (m *measure) noops(b *testing.B) {
	b.Helper()
	config := m.client.configure(b, "no-op", "exit 0\n", nil)
	run := func(ctx context.Context) error { return m.run(ctx, config) }
	m.each(b, 2*scaleAtOnce, scaleAtOnce, run) // warms up
	for _, phase := range []struct{ n, atOnce int }{{scaleSerial, 1}, {scaleJobs, scaleAtOnce}} {
		began := time.Now()
		took := m.each(b, phase.n, phase.atOnce, run)
		m.print(b, fmt.Sprintf("no-op, %d at once", phase.atOnce), took, time.Since(began))
	}
}

// slow runs jobs that wait for somebody else most of their time, as most integrations do.
func (m *measure) slow(b *testing.B) {
	b.Helper()
	config := m.client.configure(b, "slow", "sleep 2\n", nil)
	began := time.Now()
	took := m.each(b, scaleSlow, scaleSlow, func(ctx context.Context) error { return m.run(ctx, config) })
	m.print(b, "two seconds, all at once", took, time.Since(began))
}

// submit starts a job and does not wait for it.
func (m *measure) submit(ctx context.Context, config string) error {
	if a := m.client.call(ctx, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", object{}); a.status != http.StatusAccepted {
		return errors.New(a.String())
	}
	return nil
}

// run starts a job and waits for its end.
func (m *measure) run(ctx context.Context, config string) error {
	a := m.client.call(ctx, http.MethodPost, "/api/jobconfigs/"+config+"/jobs?wait=30s", object{})
	for a.status/100 == 2 && !ended(a.text("status")) {
		a = m.client.call(ctx, http.MethodGet, "/api/jobs/"+a.text("id")+"?wait=30s", nil)
	}
	if a.text("status") != "FINISHED" {
		return errors.New(a.String())
	}
	return nil
}

// each does something n times, by callers that do one after the other, and tells how long each took.
func (m *measure) each(b *testing.B, n, callers int, do func(context.Context) error) []time.Duration {
	b.Helper()
	var (
		group sync.WaitGroup
		next  atomic.Int64
		took  = make([]time.Duration, n)
		fault atomic.Pointer[error]
	)
	for range callers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && fault.Load() == nil; i = int(next.Add(1)) - 1 {
				began := time.Now()
				if err := do(b.Context()); err != nil {
					fault.Store(&err)
				}
				took[i] = time.Since(began)
			}
		})
	}
	group.Wait()
	if err := fault.Load(); err != nil {
		b.Fatal(*err)
	}
	return took
}

func (m *measure) print(b *testing.B, what string, took []time.Duration, all time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(share float64) float64 { return float64(took[int(share*float64(len(took)-1))]) / 1e6 }
	fmt.Printf("%-28s %-26s n %5d  per s %7.1f  p50 %8.1f ms  p99 %8.1f ms\n", strings.TrimPrefix(b.Name(), "BenchmarkScale/"), what,
		len(took), float64(len(took))/all.Seconds(), at(0.5), at(0.99))
}

// resident tells the memory of processes, children included: PostgreSQL's are many, and share some of it.
func (m *measure) resident(b *testing.B, all ...*process) {
	b.Helper()
	var parts []string
	for _, p := range all {
		var sum uint64
		for _, pid := range family(p.pid()) {
			if proc, err := procfs.NewProc(pid); err == nil {
				if rollup, err := proc.ProcSMapsRollup(); err == nil {
					sum += rollup.Pss
				}
			}
		}
		parts = append(parts, fmt.Sprintf("%s %d", p.name, sum>>20))
	}
	fmt.Printf("%-28s memory, MiB: %s\n", strings.TrimPrefix(b.Name(), "BenchmarkScale/"), strings.Join(parts, ", "))
}
