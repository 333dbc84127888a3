package sqlstore

import (
	"context"
	"database/sql"

	"gorm.io/gorm"
)

type snapshotKey struct{}

// reader is what a list reads with: the snapshot of the context, if there is one.
func (s *Store) reader(ctx context.Context) *gorm.DB {
	if tx, ok := ctx.Value(snapshotKey{}).(*gorm.DB); ok {
		return tx
	}
	return s.read.WithContext(ctx)
}

// snapshot lets several reads see the tables as they were at one moment. fn may run several times, as in transact.
func (s *Store) snapshot(ctx context.Context, fn func(context.Context) error) error {
	k := keeperOf(s.read)
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	options := &sql.TxOptions{ReadOnly: true}
	if s.driver == Postgres { // a read transaction of SQLite sees one moment anyway
		options.Isolation = sql.LevelRepeatableRead
	}
	for try := 1; ; try++ {
		err := s.look(s.read.WithContext(ctx), options, fn)
		if err == nil || !k.again(ctx, err, try) {
			return err
		}
	}
}

// look is one try of snapshot.
func (s *Store) look(db *gorm.DB, options *sql.TxOptions, fn func(context.Context) error) error {
	tx := db.Begin(options)
	if tx.Error != nil {
		return tx.Error
	}
	defer tx.Rollback() // it has changed nothing
	return fn(context.WithValue(db.Statement.Context, snapshotKey{}, tx))
}
