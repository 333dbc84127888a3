package app

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/password"
	"waybill/workflows/contract"
)

// CreateAccount makes an account with its first admin in the database, whether or not Waybill runs.
func CreateAccount(ctx context.Context, s settings.Settings, account, admin, word string) (a job.Account, u job.User, err error) {
	store, err := openDatabase(ctx, s, slog.Default(), filepath.Join(s.Data, "waybill.db"))
	if err != nil {
		return a, u, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	accounts := control.Accounts{Users: store, Hasher: password.New(), Now: time.Now}
	audit := &control.Audit{Store: store, Log: slog.Default(), Now: time.Now}
	err = acting(ctx, audit, "account.create", "account", func(ctx context.Context) (err error) {
		a, u, err = accounts.Create(ctx, account, admin, word, contract.SystemQueue)
		return err
	})
	return a, u, err
}
