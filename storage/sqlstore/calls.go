package sqlstore

import (
	"context"
	"database/sql"
	"reflect"
	"strings"

	"waybill/internal/limit"
)

// callBucketRow is what a charge of a bucket tells.
type callBucketRow struct {
	Calls float64
	At    int64
	Fits  bool
}

// ChargeCalls is limit.Shared's. It is one statement, so that of many processes each sees what the one before it did. The clocks of
// processes differ a little: a bucket's time never goes back.
func (s *Store) ChargeCalls(ctx context.Context, c limit.Charge) (fits bool, now limit.Level, err error) {
	full, owed := float64(c.Rule.Calls), float64(max(c.Owed, 0))
	first := callBucketRow{Calls: min(full, owed)}
	if first.Fits = first.Calls+1 <= full; first.Fits {
		first.Calls++
	}
	// On the connection of background work, where there is one, it would wait behind sweeps; in a transaction of the caller's it
	// would be undone with it.
	row, err := s.charge(ctx, s.chargeStatement(c.Rule), map[string]any{
		"caller": subjectKey(c.Rule.Name + " " + c.Caller), "calls": first.Calls, "fits": first.Fits, "now": micros(c.Now),
		"owed": owed, "full": full, "every": c.Rule.Every.Microseconds(), "speed": full / float64(max(1, c.Rule.Every.Microseconds())),
	})
	if err != nil {
		return false, limit.Level{}, s.fault(ctx, err)
	}
	return row.Fits, limit.Level{Calls: row.Calls, At: timeOf(row.At)}, nil
}

// charge runs the statement once: where its answer is lost, the call may be in the bucket already.
func (s *Store) charge(ctx context.Context, statement string, args map[string]any) (row callBucketRow, err error) {
	k := keeperOf(s.write)
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	err = scanOnce(s.write.WithContext(ctx), statement, []any{args}, func(rows *sql.Rows) (bool, error) {
		return false, rows.Scan(addresses(reflect.ValueOf(&row).Elem(), nil)...)
	})
	if err != nil {
		k.again(ctx, err, transactionTries) // counted as the last try
	}
	return row, err
}

// chargeStatement computes limit.Rule's At and what fits. LEFT is what is left of the calls in the bucket by now, HELD that with what
// is owed.
func (s *Store) chargeStatement(r limit.Rule) string {
	least, greatest := "min", "max"
	if s.driver == Postgres {
		least, greatest = "least", "greatest"
	}
	left := "GREATEST(0.0, b.calls - GREATEST(0, @now - b.at) * CAST(@speed AS double precision))"
	at := "GREATEST(b.at, @now)"
	if r.AtOnce {
		left = "CASE WHEN b.at + @every <= @now THEN 0.0 ELSE b.calls END"
		at = "CASE WHEN b.at + @every <= @now THEN @now ELSE b.at END"
	}
	statement := strings.NewReplacer("AT_NOW", at, "HELD", "LEAST(CAST(@full AS double precision), "+left+" + @owed)").Replace(`
		INSERT INTO call_buckets AS b (caller, calls, at, fits, empty_at)
		VALUES (@caller, @calls, @now, @fits, @now + CAST(@every AS bigint))
		ON CONFLICT (caller) DO UPDATE SET
			calls = HELD + CASE WHEN HELD + 1 <= @full + 0.000001 THEN 1 ELSE 0 END,
			fits = HELD + 1 <= @full + 0.000001,
			at = AT_NOW, empty_at = AT_NOW + @every
		RETURNING calls, at, fits`)
	return strings.NewReplacer("LEAST", least, "GREATEST", greatest).Replace(statement)
}
