package sqlstore_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waybill/internal/job"
	"waybill/storage/sqlstore"
	"waybill/storage/storagetest"
)

// BenchmarkCounters is the whole of a job on tables with counters and two indexes more (migration 15) and on those before, which take
// turns. "ratio" is that of the medians.
func BenchmarkCounters(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		counters(b, func(name string) sqlstore.Config {
			return sqlstore.Config{Driver: sqlstore.SQLite, Path: filepath.Join(b.TempDir(), name)}
		})
	})
	b.Run("postgres", func(b *testing.B) {
		counters(b, func(string) sqlstore.Config {
			return sqlstore.Config{Driver: sqlstore.Postgres, URL: storagetest.PostgresURL(b), MaxConns: 4}
		})
	})
}

func counters(b *testing.B, config func(name string) sqlstore.Config) {
	before, after := benchOn(b, config("before.db")), benchOn(b, config("after.db"))
	if _, err := before.MigrateDown(b.Context(), 14); err != nil {
		b.Fatal(err)
	}
	var took [2][]time.Duration
	b.ResetTimer()
	for i := range b.N {
		for k := range 2 {
			k = (k + i) % 2
			begin := time.Now()
			if err := []*bench{before, after}[k].whole(b); err != nil {
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
