package sqlstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// CreateTokenFamily is control.Tokens'.
func (s *Store) CreateTokenFamily(ctx context.Context, f job.TokenFamily, hash string) error {
	row := tokenFamilyRow{
		ID: f.ID, UserID: f.UserID, AccountID: f.AccountID, RefreshHash: f.RefreshHash,
		CreatedAt: micros(f.CreatedAt), ExpiresAt: micros(f.ExpiresAt), RevokedAt: microsOrNull(f.RevokedAt),
	}
	return s.transact(ctx, func(tx *gorm.DB) error {
		if err := s.stillGood(tx, f.AccountID, f.UserID, hash); err != nil {
			return err
		}
		return insert(tx, row)
	})
}

// stillGood holds a user who signs in as they were when that was found good: active and, unless hash is "", with that password hash. A
// transaction that changes either and ends all logins comes before, and is seen, or after, and ends this one.
func (s *Store) stillGood(tx *gorm.DB, account, id int64, hash string) error {
	lock := ""
	if s.driver == Postgres {
		lock = " FOR SHARE"
	}
	row, found, err := one[struct {
		Active bool
		Hash   string
	}](tx, "SELECT active, password_hash FROM users WHERE id = ? AND account_id = ?"+lock, id, account)
	if err == nil && (!found || !row.Active || hash != "" && row.Hash != hash) {
		err = stale("User", id)
	}
	return err
}

// TokenFamily is control.Tokens'. It finds a revoked one too.
func (s *Store) TokenFamily(ctx context.Context, id string) (job.TokenFamily, error) {
	row, found, err := one[tokenFamilyRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[tokenFamilyRow]("")+" FROM token_families WHERE id = ?", id)
	if err != nil {
		return job.TokenFamily{}, s.fault(ctx, err)
	}
	if !found {
		return job.TokenFamily{}, noFamily()
	}
	return row.family(), nil
}

// RotateToken is control.Tokens'. Of two that bring the same token at once, one wins. Where the database does not say whether it is done,
// it is done again, or found done: whoever repeats the call would else be told that somebody used the token before.
func (s *Store) RotateToken(ctx context.Context, id, was, now string, expires time.Time) error {
	err := s.rotateToken(ctx, id, []string{was}, now, expires)
	for try := 1; errors.Is(err, errOutcomeUnknown) && try < transactionTries; try++ {
		if err = s.rotateToken(ctx, id, []string{was, now}, now, expires); job.CodeOf(err) == job.Unavailable {
			err = s.unknown(err)
		}
	}
	return err
}

// rotateToken is one try of RotateToken.
func (s *Store) rotateToken(ctx context.Context, id string, from []string, now string, expires time.Time) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE token_families SET refresh_hash = ?, expires_at = ?
			WHERE id = ? AND refresh_hash IN ? AND revoked_at IS NULL`, now, micros(expires), id, from)
		if err != nil || changed > 0 {
			return err
		}
		_, alive, err := one[string](tx, "SELECT id FROM token_families WHERE id = ? AND revoked_at IS NULL", id)
		if err != nil {
			return err
		}
		if !alive {
			return noFamily()
		}
		return job.Errorf(job.Conflict, job.WordStale, "The refresh token was used before")
	})
}

// RevokeTokens is control.Tokens'. The time of the first call stays; an unknown family is as good as revoked.
func (s *Store) RevokeTokens(ctx context.Context, id string, at time.Time) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "UPDATE token_families SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", micros(at), id)
		return err
	})
}

// noFamily does not name the id: whoever sees the message does not need to know what a token holds.
func noFamily() error { return job.Errorf(job.NotFound, job.WordNotFound, "Login not found") }
