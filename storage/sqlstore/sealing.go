package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// sealedPlace is a column that holds sealed texts, alone or inside JSON.
type sealedPlace struct {
	table, key, column string
	numeric            bool // the key is a number
}

// sealedPlaces are all of them. A column that is left out here keeps its key from being dropped by nobody: its secrets would be
// lost, so a new one must be added.
var sealedPlaces = []sealedPlace{
	{"job_configs", "id", "runtime", true}, {"job_configs", "id", "rules", true},
	{"jobs", "id", "spec", false}, {"job_inputs", "job_id", "macros", false},
	{"schedules", "config_id", "rule", true},
	{"deliveries", "id", "headers", false}, {"deliveries", "id", "sealed", false},
	{"installation", "name", "mark", false},
}

// sealedPage bounds the memory that a page of texts takes: those of a job may have a few MiB.
const sealedPage = 50

// SealingKeys is control.KeyStore's.
func (s *Store) SealingKeys(ctx context.Context) ([]control.SealingKey, error) {
	type row struct {
		Number    int64
		Master    string
		KeyID     string
		Wrapped   string
		CreatedAt int64
	}
	rows, err := many[row](s.read.WithContext(ctx), "SELECT number, master, key_id, wrapped, created_at FROM sealing_keys ORDER BY number, master")
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	keys := make([]control.SealingKey, len(rows))
	for i, r := range rows {
		keys[i] = control.SealingKey{Number: r.Number, Master: r.Master, ID: r.KeyID, Wrapped: r.Wrapped, CreatedAt: time.UnixMicro(r.CreatedAt).UTC()}
	}
	return keys, nil
}

// AddSealingKeys is control.KeyStore's.
func (s *Store) AddSealingKeys(ctx context.Context, keys []control.SealingKey) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		for _, k := range keys {
			n, err := run(tx, "INSERT INTO sealing_keys (number, master, key_id, wrapped, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				k.Number, k.Master, k.ID, k.Wrapped, micros(k.CreatedAt))
			if err != nil {
				return err
			}
			if n == 0 {
				return job.Errorf(job.Conflict, job.WordStale, "Another process made a key at the same time")
			}
		}
		return nil
	})
}

// DropSealingKey is control.KeyStore's.
func (s *Store) DropSealingKey(ctx context.Context, id string) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "DELETE FROM sealing_keys WHERE key_id = ?", id)
		return err
	})
}

// DropMaster is control.KeyStore's.
func (s *Store) DropMaster(ctx context.Context, master string) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		left, _, err := one[int64](tx, `SELECT count(*) FROM sealing_keys k WHERE k.master = ?
			AND NOT EXISTS (SELECT 1 FROM sealing_keys o WHERE o.number = k.number AND o.master <> k.master)`, master)
		if err == nil && left > 0 {
			err = job.Errorf(job.Conflict, job.WordStale, "%d keys can be opened with that master key only", left)
		}
		if err == nil {
			_, err = run(tx, "DELETE FROM sealing_keys WHERE master = ?", master)
		}
		return err
	})
}

// EachSealed is control.KeyStore's.
func (s *Store) EachSealed(ctx context.Context, see func(place, text string) (string, error)) error {
	for _, p := range sealedPlaces {
		if err := s.eachSealedAt(ctx, p, see); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachSealedAt(ctx context.Context, p sealedPlace, see func(place, text string) (string, error)) error {
	type row struct{ ID, Text string }
	after := p.keyOf("")
	for {
		rows, err := many[row](s.background.read.WithContext(ctx), fmt.Sprintf(`SELECT CAST(%[2]s AS text) AS id, %[3]s AS text FROM %[1]s
			WHERE %[2]s > ? AND (%[3]s LIKE '%%v1:%%' OR %[3]s LIKE '%%v2:%%') ORDER BY %[2]s LIMIT %[4]d`, p.table, p.key, p.column, sealedPage), after)
		if err != nil || len(rows) == 0 {
			return s.fault(ctx, err)
		}
		for _, r := range rows {
			if after = p.keyOf(r.ID); after == nil {
				return job.Errorf(job.Internal, job.WordInternal, "a key of %s is no number", p.table)
			}
			text, err := see(p.table+"."+p.column, r.Text)
			if err != nil {
				return err
			}
			if text == r.Text {
				continue
			}
			// One that was changed meanwhile stays: it may be sealed with an old key still, which keeps that from being dropped.
			err = s.transact(ctx, func(tx *gorm.DB) error {
				_, err := run(tx, fmt.Sprintf("UPDATE %s SET %s = ? WHERE %s = ? AND %[2]s = ?", p.table, p.column, p.key), text, after, r.Text)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
}

// keyOf is a key as the column has it; "" is before all.
func (p sealedPlace) keyOf(text string) any {
	if !p.numeric {
		return text
	}
	if text == "" {
		return int64(-1)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return n
}
