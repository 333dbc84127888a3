package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/storage/storagetest"
)

const (
	password = "faults password, not a secret"
	// markName is the variable by which processes of this run's jobs are known.
	markName = "FAULTS_MARK"

	defaultJobs = 500
	// rate is how many things clients do in a second. About seven of ten make a job.
	rate = 7
	// backlog is how many unfinished jobs the clients let pile up.
	backlog = 70
	clients = 6
	// drainWithin is how long the last jobs may take once nothing goes wrong any more.
	drainWithin = 3 * time.Minute
)

var (
	binary  string // the program under test
	program []byte // what the jobs run, packed
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waybill-faults-bin-")
	if err != nil {
		return broken(err)
	}
	defer os.RemoveAll(dir)
	if binary = os.Getenv("WAYBILL_BIN"); binary == "" {
		binary = filepath.Join(dir, "waybill")
		// As everybody else builds it: with other settings its 1,800 packages would be compiled once more.
		if err := build(binary, "waybill/cmd/waybill"); err != nil {
			return broken(err)
		}
	}
	path := filepath.Join(dir, "program")
	if err := build(path, "waybill/test/faults/program", "CGO_ENABLED=0"); err != nil {
		return broken(err)
	}
	if program, err = packed(path); err != nil {
		return broken(err)
	}
	return m.Run()
}

func build(path, from string, settings ...string) error {
	cmd := exec.Command("go", "build", "-o", path, from)
	cmd.Env = append(os.Environ(), settings...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", from, err, text)
	}
	return nil
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "faults:", err)
	return 1
}

// number reads a setting of the test.
func number(t *testing.T, name string, otherwise int64) int64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		t.Fatalf("%s is a whole number, not %q", name, text)
	}
	return n
}

// TestFaultsBehindProxies has the database and the object store on servers of their own, which go away now and then.
func TestFaultsBehindProxies(t *testing.T) {
	if os.Getenv(storagetest.PostgresVariable) == "" || os.Getenv(s3Variable) == "" {
		t.Skipf("NOT RUN: faults of the database and the object store. %s and %s do not both name a server "+
			"(run it under test/bin/with-postgres test/bin/with-minio)", storagetest.PostgresVariable, s3Variable)
	}
	ordeal(t, newBehindProxies(t), number(t, "WAYBILL_FAULT_JOBS", defaultJobs))
}

// TestFaultsAlone is a single machine: SQLite and the object store of the program itself. Where the other test runs too, this
// one is smaller.
func TestFaultsAlone(t *testing.T) {
	jobs := number(t, "WAYBILL_FAULT_JOBS", defaultJobs)
	if os.Getenv(storagetest.PostgresVariable) != "" && os.Getenv(s3Variable) != "" {
		jobs /= 5
	}
	ordeal(t, newAlone(t), jobs)
}

// ordeal runs the mix against a system until there are enough jobs, then lets everything end and asks its questions.
func ordeal(t *testing.T, s *system, jobs int64) {
	seed := uint64(number(t, "WAYBILL_FAULT_SEED", time.Now().UnixNano()%1_000_000))
	t.Logf("WAYBILL_FAULT_SEED=%d WAYBILL_FAULT_JOBS=%d, files in %s", seed, jobs, s.dir)
	s.seed = seed
	s.launch(t)
	all := newLedger(s.configure(t, kinds()))
	t.Logf("job configs:%s", describe(all.kinds))

	began := time.Now()
	// Generous: a run that needs more has come to a stand.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Duration(jobs)*time.Second)
	defer cancel()
	mischief, stopMischief := context.WithCancel(ctx)
	var culprits, callers sync.WaitGroup
	for n, faults := range s.faults() {
		culprits.Go(func() { s.wreak(mischief, faults, rand.New(rand.NewPCG(seed, uint64(1000+n)))) })
	}
	turns := make(chan struct{})
	for n := range clients {
		d := &driver{restClient: s.client, ledger: all, name: fmt.Sprintf("client-%d", n), random: rand.New(rand.NewPCG(seed, uint64(n)))}
		callers.Go(func() { d.run(ctx, turns) })
	}
	s.pace(ctx, turns, all, int(jobs))
	close(turns)
	callers.Wait()
	stopMischief()
	culprits.Wait()
	t.Logf("%d jobs accepted in %s, %d faults:\n%s", all.accepted(), time.Since(began).Round(time.Second), len(s.history()), strings.Join(s.history(), "\n"))
	if n := all.accepted(); n < int(jobs) {
		t.Errorf("only %d of %d jobs were accepted in the time", n, jobs)
	}
	if err := s.mischiefFailed(); err != nil {
		t.Errorf("the test could not go on with its faults: %v", err)
	}

	drained := time.Now()
	if err := s.drain(t.Context()); err != nil {
		t.Errorf("not everything came to its end: %v", err)
	}
	t.Logf("drained after %s; clients: %v", time.Since(drained).Round(time.Millisecond), all.counts)
	s.lastLook(t, all)
	s.stop(t)
	state, err := s.read(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatalf("the tables: %v", err)
	}
	c := &check{system: s, ledger: all, state: state, runs: s.observer.executions()}
	c.all()
	summary := c.summary()
	c.report(t)
	t.Logf("in the end: %s; the whole took %s", summary, time.Since(began).Round(time.Second))
}

// pace gives the clients their turns, until there are enough jobs.
func (s *system) pace(ctx context.Context, turns chan<- struct{}, all *ledger, jobs int) {
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	var looked time.Time
	waiting := 0
	for all.accepted() < jobs && ctx.Err() == nil {
		<-tick.C
		if time.Since(looked) > time.Second {
			looked = time.Now()
			if ids, err := s.unfinished(ctx); err == nil {
				waiting = len(ids)
			}
		}
		if waiting >= backlog {
			continue
		}
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
		case <-time.After(time.Second): // all clients wait for an answer
		}
	}
}
