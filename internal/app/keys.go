package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/secret"
)

// Keyring is the keys of an installation for a command beside the processes that run.
type Keyring struct {
	*control.Keyring
	parts
	file string
}

// OpenKeyring opens the keys of an installation, whether or not Waybill runs. Close it.
func OpenKeyring(ctx context.Context, s settings.Settings) (*Keyring, error) {
	k := &Keyring{parts: newParts(s, slog.Default()), file: filepath.Join(s.Data, "master.key")}
	err := k.loadKeys(k.file, secret.Load)
	if err == nil {
		err = k.openPresentStore(ctx, k.watchStore)
	}
	if err == nil {
		k.warnOfStore(ctx)
		err = k.checkKey(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, k.closeStore(ctx))
	}
	k.Keyring = k.keyring
	return k, nil
}

// Close gives the database back.
func (k *Keyring) Close(ctx context.Context) error { return k.closeStore(ctx) }

// NewMaster takes a new master key into use beside the present one: the one of the settings that has nothing sealed yet or, with a
// key file, one that it makes and writes there. It gives its id.
func (k *Keyring) NewMaster(ctx context.Context) (id string, err error) {
	masters, err := k.Masters()
	if err != nil {
		return "", err
	}
	if added, err := k.Adopt(ctx); err != nil || len(added) > 0 { // also of an earlier call that was broken off
		return fmt.Sprint(added), err
	}
	if k.settings.MasterKey != "" {
		return "", job.Errorf(job.Invalid, job.WordInvalidField, "give the new master key in %s, in front of the present one, with a comma between them",
			settings.Name("master-key"))
	}
	made := secret.NewKey()
	if err := secret.Store(k.file, append(secret.Masters{made}, masters...)); err != nil {
		return "", fmt.Errorf("the key file can not be written: %w", err)
	}
	_, err = k.Adopt(ctx)
	return made.ID(), err
}

// DropMaster takes a master key out of use: processes that have only that one end. Another one must be here.
func (k *Keyring) DropMaster(ctx context.Context, id string) error {
	masters, err := k.Masters()
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(masters), func(m secret.Keys) bool { return m.ID() == id })
	if len(rest) == 0 {
		return job.Errorf(job.Conflict, job.WordStale, "%s is the only master key here; take a new one into use first", id)
	}
	if _, err := k.Adopt(ctx); err != nil {
		return err
	}
	if err := k.store.DropMaster(ctx, id); err != nil {
		return err
	}
	if k.settings.MasterKey != "" || len(rest) == len(masters) {
		return nil
	}
	return secret.Store(k.file, rest)
}
