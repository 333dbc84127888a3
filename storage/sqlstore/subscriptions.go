package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

type subscriptionRow struct {
	ConfigID       int64  `gorm:"column:config_id;primaryKey"`
	AccountID      int64  `gorm:"column:account_id"`
	Active         bool   `gorm:"column:active"`
	Recipients     string `gorm:"column:recipients"` // JSON
	Events         string `gorm:"column:events"`
	AttachLog      bool   `gorm:"column:attach_log"`
	CreatedAt      int64  `gorm:"column:created_at;autoCreateTime:false"`
	CreatedByID    int64  `gorm:"column:created_by_id"`
	CreatedByName  string `gorm:"column:created_by_name"`
	ModifiedAt     int64  `gorm:"column:modified_at"`
	ModifiedByID   int64  `gorm:"column:modified_by_id"`
	ModifiedByName string `gorm:"column:modified_by_name"`
}

func (subscriptionRow) TableName() string { return "subscriptions" }

var subscriptionColumns = columnsOf[subscriptionRow]("")

// wants tells whether mail is asked for when a job ends so. A user's cancel is neither success nor failure.
func (r subscriptionRow) wants(ended job.Status) bool {
	switch {
	case !r.Active:
		return false
	case job.SubscriptionEvents(r.Events) == job.OnAlways:
		return true
	case ended == job.Completed:
		return job.SubscriptionEvents(r.Events) == job.OnSuccess
	case ended == job.Failed:
		return job.SubscriptionEvents(r.Events) == job.OnFailure
	}
	return false
}

func (r subscriptionRow) subscription() (job.Subscription, error) {
	s := job.Subscription{
		ConfigID: r.ConfigID, AccountID: r.AccountID, Active: r.Active, Events: job.SubscriptionEvents(r.Events), AttachLog: r.AttachLog,
		CreatedAt: timeOf(r.CreatedAt), CreatedBy: job.UserRef{ID: r.CreatedByID, Name: r.CreatedByName},
		ModifiedAt: timeOf(r.ModifiedAt), ModifiedBy: job.UserRef{ID: r.ModifiedByID, Name: r.ModifiedByName},
	}
	return s, fromJSON(r.Recipients, &s.Recipients)
}

// Subscription is control.Subscriptions's.
func (s *Store) Subscription(ctx context.Context, account, config int64) (job.Subscription, error) {
	row, found, err := one[subscriptionRow](s.read.WithContext(ctx),
		"SELECT "+subscriptionColumns+" FROM subscriptions WHERE config_id = ? AND account_id = ?", config, account)
	if err != nil {
		return job.Subscription{}, s.fault(ctx, err)
	}
	if !found {
		return job.Subscription{}, noSubscription(config)
	}
	sub, err := row.subscription()
	return sub, s.fault(ctx, err)
}

func noSubscription(config int64) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Job config %d has no subscription", config)
}

// PutSubscription is control.Subscriptions's. Who made it first, and when, stays.
func (s *Store) PutSubscription(ctx context.Context, sub job.Subscription) (stored job.Subscription, err error) {
	row := subscriptionRow{
		ConfigID: sub.ConfigID, AccountID: sub.AccountID, Active: sub.Active, Recipients: toJSON(sub.Recipients),
		Events: string(sub.Events), AttachLog: sub.AttachLog,
		CreatedAt: micros(sub.ModifiedAt), CreatedByID: sub.ModifiedBy.ID, CreatedByName: sub.ModifiedBy.Name,
		ModifiedAt: micros(sub.ModifiedAt), ModifiedByID: sub.ModifiedBy.ID, ModifiedByName: sub.ModifiedBy.Name,
	}
	err = s.transact(ctx, func(tx *gorm.DB) error {
		if _, found, err := one[int64](tx, "SELECT id FROM job_configs WHERE id = ? AND account_id = ?", sub.ConfigID, sub.AccountID); err != nil {
			return err
		} else if !found {
			return noConfig(sub.ConfigID)
		}
		err := insertOr(tx, row, `ON CONFLICT (config_id) DO UPDATE SET active = excluded.active,
			recipients = excluded.recipients, events = excluded.events, attach_log = excluded.attach_log,
			modified_at = excluded.modified_at, modified_by_id = excluded.modified_by_id,
			modified_by_name = excluded.modified_by_name`)
		if err != nil {
			return err
		}
		row, _, err := one[subscriptionRow](tx, "SELECT "+subscriptionColumns+" FROM subscriptions WHERE config_id = ?", sub.ConfigID)
		if err != nil {
			return err
		}
		stored, err = row.subscription()
		return err
	})
	return stored, err
}

// DeleteSubscription is control.Subscriptions's.
func (s *Store) DeleteSubscription(ctx context.Context, account, config int64) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		gone, err := run(tx, "DELETE FROM subscriptions WHERE config_id = ? AND account_id = ?", config, account)
		if err == nil && gone == 0 {
			err = noSubscription(config)
		}
		return err
	})
}
