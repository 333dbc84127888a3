package sqlstore_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
	"waybill/storage/storagetest"
)

// BenchmarkCounters is the whole of a job on tables with counters and two indexes more (migration 15) and on those before, which take
// turns. "ratio" is that of the medians.
func BenchmarkCounters(b *testing.B) {
	onBoth(b, func(b *testing.B, open func(name string) *bench) {
		inTurns(b, lowered(b, open, 14).whole, open("after.db").whole)
	})
}

// BenchmarkTagCounters is the same of a job with two tags and the counters of tags (migration 25).
func BenchmarkTagCounters(b *testing.B) {
	onBoth(b, func(b *testing.B, open func(name string) *bench) {
		before, after := lowered(b, open, 24), open("after.db")
		before.tags, after.tags = []string{"nightly", "audit"}, []string{"nightly", "audit"}
		inTurns(b, before.whole, after.whole)
	})
}

// BenchmarkAudit is a submission without an entry in the audit log and with one.
func BenchmarkAudit(b *testing.B) {
	onBoth(b, func(b *testing.B, open func(name string) *bench) {
		s := open("audit.db")
		submit := func(ctx context.Context) error {
			_, _, err := s.Submit(ctx, s.submission())
			return err
		}
		inTurns(b, func(b *testing.B) error { return submit(b.Context()) }, func(b *testing.B) error {
			return submit(control.WithTrail(b.Context(), control.NewTrail(job.AuditEntry{
				AccountID: s.account, Time: benchStart, ActorID: s.admin.ID, Actor: s.admin.Name, Action: "job.start", Address: "192.0.2.7", Request: "7f3c2b1a9d8e4f60",
			})))
		})
	})
}

// onBoth runs a benchmark on each database.
func onBoth(b *testing.B, run func(b *testing.B, open func(name string) *bench)) {
	b.Run("sqlite", func(b *testing.B) {
		dir := b.TempDir()
		run(b, func(name string) *bench {
			return benchOn(b, sqlstore.Config{Driver: sqlstore.SQLite, Path: filepath.Join(dir, name)})
		})
	})
	b.Run("postgres", func(b *testing.B) {
		run(b, func(string) *bench {
			return benchOn(b, sqlstore.Config{Driver: sqlstore.Postgres, URL: storagetest.PostgresURL(b), MaxConns: 4})
		})
	})
}

// lowered is a store on the tables of an earlier migration.
func lowered(b *testing.B, open func(name string) *bench, version int64) *bench {
	b.Helper()
	s := open("before.db")
	if _, err := s.MigrateDown(b.Context(), version); err != nil {
		b.Fatal(err)
	}
	return s
}

// inTurns does one thing and the other b.N times, and reports how long each takes.
func inTurns(b *testing.B, before, after func(b *testing.B) error) {
	b.Helper()
	var took [2][]time.Duration
	b.ResetTimer()
	for i := range b.N {
		for k := range 2 {
			k = (k + i) % 2
			begin := time.Now()
			if err := []func(*testing.B) error{before, after}[k](b); err != nil {
				b.Fatal(err)
			}
			took[k] = append(took[k], time.Since(begin))
		}
	}
	median := func(t []time.Duration) float64 { slices.Sort(t); return float64(t[len(t)/2].Microseconds()) }
	b.ReportMetric(median(took[0]), "before-us")
	b.ReportMetric(median(took[1]), "after-us")
	b.ReportMetric(median(took[1])/median(took[0]), "ratio")
}

// whole is a job from its submission to its end.
func (s *bench) whole(b *testing.B) error {
	zero := 0
	j, _, err := s.Submit(b.Context(), s.submission())
	if err != nil {
		return err
	}
	if _, _, err = s.Begin(b.Context(), s.account, j.ID, 1, "worker-1", benchStart); err != nil {
		return err
	}
	if err = s.Started(b.Context(), s.account, j.ID, 1, "", benchStart); err != nil {
		return err
	}
	_, err = s.Finish(b.Context(), s.account, j.ID, 1, job.Outcome{Status: job.Completed, ReturnCode: &zero, At: benchStart})
	return err
}

// BenchmarkIndexesByStart is the whole of a job on tables with the indexes of ended jobs by start and run (migration 27), and on those before.
func BenchmarkIndexesByStart(b *testing.B) {
	onBoth(b, func(b *testing.B, open func(name string) *bench) {
		inTurns(b, lowered(b, open, 26).whole, open("after.db").whole)
	})
}
