package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
)

// The benchmarks of what a job costs. "cpu-us/op" is the process's CPU time, which is what the jobs of one machine share;
// the time per operation also holds waits for the disk.

type bench struct {
	*sqlstore.Store
	account int64
	config  job.Config
	admin   job.UserRef
	made    int
	tags    []string // of the jobs
}

var benchStart = time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC)

func newBench(b *testing.B) *bench {
	b.Helper()
	return benchOn(b, sqlstore.Config{Driver: sqlstore.SQLite, Path: filepath.Join(b.TempDir(), "waybill.db")})
}

func benchOn(b *testing.B, config sqlstore.Config) *bench {
	b.Helper()
	s, err := sqlstore.Open(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	a, u, err := s.CreateAccount(b.Context(), job.Account{Name: "bench"}, "default", job.User{Name: "admin", Active: true})
	if err != nil {
		b.Fatal(err)
	}
	c, err := s.CreateConfig(b.Context(), job.Config{AccountID: a.ID, Name: "Sample", ObjectID: "0123456789abcdef01234567"})
	if err != nil {
		b.Fatal(err)
	}
	return &bench{Store: s, account: a.ID, config: c, admin: u.Ref()}
}

func (s *bench) submission() control.Submission {
	s.made++
	return control.Submission{Job: job.Job{
		ID: job.ID(fmt.Sprintf("%024x", s.made)), AccountID: s.account, ConfigID: s.config.ID, ConfigName: s.config.Name,
		OwnerID: s.admin.ID, SubmittedBy: s.admin, Tags: s.tags, ScheduledAt: benchStart.Add(time.Duration(s.made) * time.Second),
		Spec: job.Spec{
			PackageName: "samplePackage.djar", PackageVersion: 1, PackageSize: 4096, EntryPoint: "integrateXYZ.process",
			PackageSHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		},
	}}
}

func (s *bench) submit(b *testing.B, n int) []job.ID {
	b.Helper()
	ids := make([]job.ID, n)
	for i := range ids {
		j, _, err := s.Submit(b.Context(), s.submission())
		if err != nil {
			b.Fatal(err)
		}
		ids[i] = j.ID
	}
	return ids
}

// measure runs fn b.N times and reports the CPU time too.
func measure(b *testing.B, fn func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ResetTimer()
	for i := range b.N {
		if err := fn(i); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/1000/float64(b.N), "cpu-us/op")
}

func BenchmarkSubmit(b *testing.B) {
	s := newBench(b)
	measure(b, func(int) error {
		_, _, err := s.Submit(b.Context(), s.submission())
		return err
	})
}

func BenchmarkBegin(b *testing.B) {
	s := newBench(b)
	ids := s.submit(b, b.N)
	measure(b, func(i int) error {
		_, _, err := s.Begin(b.Context(), s.account, ids[i], 1, "worker-1", benchStart)
		return err
	})
}

func BenchmarkStarted(b *testing.B) {
	s := newBench(b)
	ids := s.submit(b, b.N)
	for _, id := range ids {
		if _, _, err := s.Begin(b.Context(), s.account, id, 1, "worker-1", benchStart); err != nil {
			b.Fatal(err)
		}
	}
	measure(b, func(i int) error { return s.Started(b.Context(), s.account, ids[i], 1, "", benchStart) })
}

func BenchmarkFinish(b *testing.B) {
	s := newBench(b)
	ids := s.submit(b, b.N)
	for _, id := range ids {
		if _, _, err := s.Begin(b.Context(), s.account, id, 1, "worker-1", benchStart); err != nil {
			b.Fatal(err)
		}
		if err := s.Started(b.Context(), s.account, id, 1, "", benchStart); err != nil {
			b.Fatal(err)
		}
	}
	zero := 0
	measure(b, func(i int) error {
		_, err := s.Finish(b.Context(), s.account, ids[i], 1, job.Outcome{Status: job.Completed, ReturnCode: &zero, At: benchStart})
		return err
	})
}

// BenchmarkJob is the whole of a job that is not a retry.
func BenchmarkJob(b *testing.B) {
	s := newBench(b)
	measure(b, func(int) error { return s.whole(b) })
}

func BenchmarkReadJob(b *testing.B) {
	s := newBench(b)
	ids := s.submit(b, 1000)
	measure(b, func(i int) error {
		_, err := s.Job(b.Context(), s.account, ids[i%len(ids)])
		return err
	})
}

// BenchmarkList is the first page of 25 out of 5,000 jobs, of which all but 50 are final, as a door asks for it.
func BenchmarkList(b *testing.B) {
	s := newBench(b)
	for _, id := range s.submit(b, 5000)[50:] {
		o := job.Outcome{Status: job.Failed, Reason: job.ReasonTerminated, At: benchStart}
		if _, err := s.Settle(b.Context(), s.account, id, 1, o); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]job.Query{
		"page":       {},
		"with stats": {Stats: true},
		"cursor":     {Keyset: true},
		"queued":     {Where: job.Compare{Property: "status", Op: job.Eq, Values: []any{job.Queued}}},
	} {
		b.Run(name, func(b *testing.B) {
			q.Scope, q.Size = job.Scope{AccountID: s.account}, 25
			measure(b, func(int) error {
				_, _, err := s.Jobs(b.Context(), q)
				return err
			})
		})
	}
}
