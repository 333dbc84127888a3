package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// UpdateAccount is control.AccountStore's. Name, default destination and time of creation are not its business.
func (s *Store) UpdateAccount(ctx context.Context, a job.Account) (job.Account, error) {
	pairs := []string{"description", a.Description, "timeZone", a.TimeZone}
	for _, d := range a.UserDomains {
		pairs = append(pairs, "allowedUserDomains", d)
	}
	if err := checkText(pairs...); err != nil {
		return job.Account{}, err
	}
	row := toAccountRow(a)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		changed, found, err := one[accountRow](tx, `
			UPDATE accounts SET description = ?, max_timeout = ?, retention = ?, user_domains = ?, time_zone = ?, change = change + 1
			WHERE id = ? AND change = ? RETURNING `+columnsOf[accountRow](""),
			row.Description, row.MaxTimeout, row.Retention, row.UserDomains, row.TimeZone, row.ID, row.Change)
		if err != nil {
			return err
		}
		if !found {
			return s.missingOrStaleAccount(tx, a.ID)
		}
		a, err = changed.account()
		return err
	})
	if err != nil {
		return job.Account{}, err
	}
	return a, nil
}

func (s *Store) missingOrStaleAccount(tx *gorm.DB, id int64) error {
	_, found, err := one[int64](tx, "SELECT id FROM accounts WHERE id = ?", id)
	if err != nil {
		return err
	}
	if !found {
		return noAccount(id)
	}
	return stale("Account", id)
}

func noAccount(id int64) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Account %d not found", id)
}
