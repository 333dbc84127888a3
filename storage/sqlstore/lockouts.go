package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"gorm.io/gorm"
)

// longSubject is from where on a subject is kept as its digest. Anybody may try to sign in under a name of any length.
const longSubject = 256

func subjectKey(subject string) string {
	if len(subject) >= longSubject {
		digest := sha256.Sum256([]byte(subject))
		return "sha256:" + hex.EncodeToString(digest[:])
	}
	return clean(subject)
}

// LockedUntil is control.Lockouts'.
func (s *Store) LockedUntil(ctx context.Context, subject string, now time.Time) (time.Time, error) {
	row, _, err := one[loginFailuresRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[loginFailuresRow]("")+" FROM login_failures WHERE subject = ?", subjectKey(subject))
	if err != nil {
		return time.Time{}, s.fault(ctx, err)
	}
	return row.lockedAt(micros(now)), nil
}

// lockedAt is the zero time when the lock is over.
func (r loginFailuresRow) lockedAt(now int64) time.Time {
	if r.LockedUntil == nil || *r.LockedUntil <= now {
		return time.Time{}
	}
	return timeOf(*r.LockedUntil)
}

// LoginFailed is control.Lockouts'. A failure while the subject is locked changes nothing, so nobody can hold a lock open
// by trying on; the first one after a lock or a window begins anew.
func (s *Store) LoginFailed(
	ctx context.Context, subject string, now time.Time, window time.Duration, limit int, lock time.Duration,
) (locked time.Time, err error) {
	subject = subjectKey(subject)
	at := micros(now)
	err = s.transact(ctx, func(tx *gorm.DB) error {
		// The row is there before it is locked, so that of two first failures at once both are counted.
		if _, err := run(tx, "INSERT INTO login_failures (subject, failures, window_ends_at) VALUES (?, 0, ?) "+
			"ON CONFLICT (subject) DO NOTHING", subject, micros(now.Add(window))); err != nil {
			return err
		}
		row, _, err := one[loginFailuresRow](tx,
			"SELECT "+columnsOf[loginFailuresRow]("")+" FROM login_failures WHERE subject = ?"+s.forUpdate(), subject)
		if err != nil {
			return err
		}
		if locked = row.lockedAt(at); !locked.IsZero() {
			return nil
		}
		if row.LockedUntil != nil || row.WindowEndsAt <= at {
			row = loginFailuresRow{Subject: subject, WindowEndsAt: micros(now.Add(window))}
		}
		row.Failures++
		if row.Failures >= limit {
			row.LockedUntil = microsOrNull(now.Add(lock))
		}
		locked = row.lockedAt(at)
		_, err = run(tx, "UPDATE login_failures SET failures = ?, window_ends_at = ?, locked_until = ? WHERE subject = ?",
			row.Failures, row.WindowEndsAt, row.LockedUntil, subject)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	return locked, nil
}

// ClearLogins is control.Lockouts'.
func (s *Store) ClearLogins(ctx context.Context, subject string, now time.Time) (locked time.Time, err error) {
	subject = subjectKey(subject)
	row, found, err := one[loginFailuresRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[loginFailuresRow]("")+" FROM login_failures WHERE subject = ?", subject)
	if err != nil || !found { // as of most who sign in
		return time.Time{}, s.fault(ctx, err)
	}
	if locked = row.lockedAt(micros(now)); !locked.IsZero() {
		return locked, nil
	}
	err = s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "DELETE FROM login_failures WHERE subject = ? AND coalesce(locked_until, 0) <= ?", subject, micros(now))
		return err
	})
	return time.Time{}, err
}

// LoginPlace is control.Lockouts'.
func (s *Store) LoginPlace(ctx context.Context, subject string) (time.Time, error) {
	seen, found, err := one[int64](s.read.WithContext(ctx), "SELECT seen_at FROM login_places WHERE subject = ?", subjectKey(subject))
	if err != nil || !found {
		return time.Time{}, s.fault(ctx, err)
	}
	return timeOf(seen), nil
}

// NoteLoginPlace is control.Lockouts'.
func (s *Store) NoteLoginPlace(ctx context.Context, subject string, at time.Time) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, `INSERT INTO login_places (subject, seen_at) VALUES (?, ?)
			ON CONFLICT (subject) DO UPDATE SET seen_at = excluded.seen_at WHERE login_places.seen_at < excluded.seen_at`, subjectKey(subject), micros(at))
		return err
	})
}

// loginPlaceLife is for how long a network from which a user signed in is known.
const loginPlaceLife = 90 * 24 * time.Hour
