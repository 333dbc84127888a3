package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

type doorSessionRow struct {
	Hash      string `gorm:"column:hash;primaryKey"`
	UserID    int64  `gorm:"column:user_id"`
	AccountID int64  `gorm:"column:account_id"`
	CreatedAt int64  `gorm:"column:created_at;autoCreateTime:false"`
	UsedAt    int64  `gorm:"column:used_at"`
	EndedAt   *int64 `gorm:"column:ended_at"`
}

func (doorSessionRow) TableName() string { return "door_sessions" }

// CreateDoorSession is control.DoorSessionStore's.
func (s *Store) CreateDoorSession(ctx context.Context, d job.DoorSession, hash string) error {
	row := doorSessionRow{
		Hash: d.Hash, UserID: d.UserID, AccountID: d.AccountID, CreatedAt: micros(d.CreatedAt), UsedAt: micros(d.UsedAt),
		EndedAt: microsOrNull(d.EndedAt),
	}
	return s.transact(ctx, func(tx *gorm.DB) error {
		if err := s.stillGood(tx, d.AccountID, d.UserID, hash); err != nil {
			return err
		}
		return insert(tx, row)
	})
}

// DoorSession is control.DoorSessionStore's.
func (s *Store) DoorSession(ctx context.Context, hash string) (job.DoorSession, error) {
	row, found, err := one[doorSessionRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[doorSessionRow]("")+" FROM door_sessions WHERE hash = ?", hash)
	if err != nil {
		return job.DoorSession{}, s.fault(ctx, err)
	}
	if !found {
		return job.DoorSession{}, job.Errorf(job.NotFound, job.WordNotFound, "Session not found")
	}
	return job.DoorSession{
		Hash: row.Hash, UserID: row.UserID, AccountID: row.AccountID, CreatedAt: timeOf(row.CreatedAt), UsedAt: timeOf(row.UsedAt),
		EndedAt: timeOrZero(row.EndedAt),
	}, nil
}

// UseDoorSession is control.DoorSessionStore's. Of calls at once, on several servers, the latest stays.
func (s *Store) UseDoorSession(ctx context.Context, hash string, at time.Time) error {
	return s.change(ctx, "UPDATE door_sessions SET used_at = ? WHERE hash = ? AND used_at < ? AND ended_at IS NULL", micros(at), hash, micros(at))
}

// EndDoorSession is control.DoorSessionStore's.
func (s *Store) EndDoorSession(ctx context.Context, hash string, at time.Time) error {
	return s.change(ctx, "UPDATE door_sessions SET ended_at = ? WHERE hash = ? AND ended_at IS NULL", micros(at), hash)
}

// EndDoorSessions is control.DoorSessionStore's.
func (s *Store) EndDoorSessions(ctx context.Context, account, user int64, at time.Time) (ended int64, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		ended, err = run(tx, "UPDATE door_sessions SET ended_at = ? WHERE account_id = ? AND (user_id = ? OR ? = 0) AND ended_at IS NULL",
			micros(at), account, user, user)
		return err
	})
	return ended, err
}
