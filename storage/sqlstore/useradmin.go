package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// UsersOf is control.UserStore's.
func (s *Store) UsersOf(ctx context.Context, account int64) ([]job.User, error) {
	rows, err := many[userRow](s.read.WithContext(ctx), "SELECT "+columnsOf[userRow]("")+" FROM users WHERE account_id = ? ORDER BY id", account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	list := make([]job.User, len(rows))
	for i, r := range rows {
		list[i] = r.user()
	}
	return list, nil
}

// AccountByName is control.UserStore's.
func (s *Store) AccountByName(ctx context.Context, name string) (job.Account, error) {
	missing := job.Errorf(job.NotFound, job.WordNotFound, "There is no account '%s'", clean(name))
	if clean(name) != name {
		return job.Account{}, missing
	}
	row, found, err := one[accountRow](s.read.WithContext(ctx), "SELECT "+columnsOf[accountRow]("")+" FROM accounts WHERE name = ?", fold(name))
	if err != nil {
		return job.Account{}, s.fault(ctx, err)
	}
	if !found {
		return job.Account{}, missing
	}
	a, err := row.account()
	return a, s.fault(ctx, err)
}

// CreateUser is control.UserStore's.
func (s *Store) CreateUser(ctx context.Context, u job.User) (job.User, error) {
	if err := checkText("username", u.Name); err != nil {
		return job.User{}, err
	}
	var row userRow
	err := s.transact(ctx, func(tx *gorm.DB) error {
		_, found, err := one[int64](tx, "SELECT id FROM accounts WHERE id = ?", u.AccountID)
		if err != nil {
			return err
		}
		if !found {
			return noAccount(u.AccountID)
		}
		row = toUserRow(u)
		row.ID = 0
		err = tx.Create(&row).Error
		if taken(s.fault(ctx, err)) {
			return job.Wrap(err, job.Conflict, job.WordDuplicateName, "A user named '%s' already exists", u.Name)
		}
		auditMade(ctx, "user", row.ID)
		return err
	})
	if err != nil {
		return job.User{}, err
	}
	return row.user(), nil
}

// SetPassword is control.UserStore's.
func (s *Store) SetPassword(ctx context.Context, account, id int64, hash string, at time.Time) (ended int64, err error) {
	return s.ChangePassword(ctx, account, id, "", hash, "", job.UserRef{}, at)
}

// SetUserActive is control.UserStore's.
func (s *Store) SetUserActive(ctx context.Context, account, id int64, active bool, at time.Time) (ended int64, err error) {
	return s.SetUsersActive(ctx, account, []int64{id}, active, job.UserRef{}, at)
}

// endLogins revokes all tokens of a user but those of one family, and ends all sessions; it tells of how many logins. Both are looked up
// at every call, so they end at once.
func endLogins(tx *gorm.DB, user int64, but string, at time.Time) (int64, error) {
	sessions, err := run(tx, "UPDATE door_sessions SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL", micros(at), user)
	if err != nil {
		return 0, err
	}
	tokens, err := run(tx, "UPDATE token_families SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL AND id <> ?", micros(at), user, but)
	return sessions + tokens, err
}

// endKeys takes a user's API keys away, which would otherwise outlive the password that a thief made them with.
func endKeys(tx *gorm.DB, account, user int64) error {
	_, err := run(tx, "DELETE FROM api_keys WHERE account_id = ? AND owner_id = ?", account, user)
	return err
}
