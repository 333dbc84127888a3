package sqlstore_test

import (
	"testing"
	"time"

	"waybill/internal/limit"
	"waybill/storage/sqlstore"
	"waybill/storage/storagetest"
)

// BenchmarkCountedCall is what one counted call costs where processes share the count: far from the limit nothing is asked of the
// database, at full speed a tenth of the calls, and at worst (a bucket of less than ten) each.
func BenchmarkCountedCall(b *testing.B) {
	run := func(b *testing.B, store *sqlstore.Store, rule limit.Rule, pace time.Duration) {
		now := time.Unix(1_800_000_000, 0)
		l := limit.New(store, nil, func() time.Time { return now })
		for b.Loop() {
			if l.Take(b.Context(), rule, "login:1").Refused() {
				b.Fatal("refused")
			}
			now = now.Add(pace)
		}
	}
	url := storagetest.PostgresURL(b)
	store := migrated(b, open(b, sqlstore.Config{Driver: sqlstore.Postgres, URL: url, MaxConns: 8}))
	b.Run("far-from-the-limit", func(b *testing.B) { run(b, store, limit.Leaking("far", 100, 30), 334*time.Millisecond) })
	b.Run("at-full-speed", func(b *testing.B) { run(b, store, limit.Leaking("full", 100, 30), 34*time.Millisecond) })
	b.Run("asked-each-time", func(b *testing.B) { run(b, store, limit.Leaking("each", 9, 30), 34*time.Millisecond) })
}
