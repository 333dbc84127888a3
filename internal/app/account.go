package app

import (
	"context"
	"errors"
	"log/slog"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/password"
	"waybill/workflows/contract"
)

// CreateAccount makes an account with its first admin in the database, whether or not Waybill runs.
func CreateAccount(ctx context.Context, s settings.Settings, account, admin, word string) (a job.Account, u job.User, err error) {
	p := newParts(s, slog.Default())
	if err := p.openUnsealedStore(ctx); err != nil {
		return a, u, err
	}
	defer func() { err = errors.Join(err, p.store.Close()) }()
	accounts := control.Accounts{Users: p.store, Hasher: password.New(), Now: p.now}
	err = acting(ctx, p.auditLog(), "account.create", "account", func(ctx context.Context) (err error) {
		a, u, err = accounts.Create(ctx, account, admin, word, contract.SystemQueue)
		return err
	})
	return a, u, err
}
