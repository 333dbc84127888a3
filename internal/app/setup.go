package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/password"
	"waybill/internal/secret"
	"waybill/workflows/contract"
)

// SetupOptions says what Setup does besides what it always does.
type SetupOptions struct {
	// RandomPassword makes a password where there is no admin and none is given.
	RandomPassword bool
	// NamespaceRetention is for how long a namespace that Setup makes keeps closed workflows.
	NamespaceRetention time.Duration
	// Tell hears of each step that is done: what it is about, and what was found or made.
	Tell func(what, done string)
}

// Setup makes all that an installation needs before its first process starts: tables, keys, bucket, namespace, search
// attributes, first account and admin. What is there stays as it is, so it may run at any time, and several times at once. It
// gives the admin's password if it made one.
func Setup(ctx context.Context, s settings.Settings, log *slog.Logger, o SetupOptions) (word string, err error) {
	k := &installer{parts: newParts(s, log), o: o}
	defer func() {
		noteAct(ctx, auditOf(ctx, k.store, log), "setup", "installation", "", k.changes, err)
		err = errors.Join(err, k.Stop(context.WithoutCancel(ctx)))
	}()
	if err := k.database(ctx); err != nil {
		return "", err
	}
	// What needs no other part is done whatever becomes of the others: one run tells all that is missing.
	word, adminFault := k.admin(ctx)
	return word, errors.Join(adminFault, k.bucket(ctx), k.engine(ctx))
}

// installer is Setup at work.
type installer struct {
	parts
	o       SetupOptions
	changes []job.AuditChange // for the audit log
}

// database migrates, and makes the first keys.
func (k *installer) database(ctx context.Context) error {
	master, err := k.masterKey()
	if err != nil {
		return err
	}
	k.onStop("database", 5*time.Second, k.closeStore)
	schema, err := OpenSchema(ctx, k.settings, SchemaUp)
	if err != nil {
		return err
	}
	k.store = schema.store
	before := versionOf(ctx, k.store)
	if err := k.store.Migrate(ctx); err != nil {
		return fmt.Errorf("the tables can not be made: %w", err)
	}
	k.changes = append(k.changes, changed("version", before, versionOf(ctx, k.store))...)
	k.o.Tell("database", "tables are those of this program")
	if !master {
		k.o.Tell("keys", "not made: there is no master key here; give "+settings.Name("master-key"))
		return nil
	}
	if err := k.checkKey(ctx); err != nil {
		return err
	}
	k.o.Tell("keys", "open with the master key")
	return nil
}

// masterKey tells whether one is here. It makes none: one that a container makes in a folder of its own goes with it.
func (k *installer) masterKey() (bool, error) {
	err := k.loadKeys(filepath.Join(k.settings.Data, "master.key"), secret.Load)
	if k.settings.MasterKey == "" && errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// bucket sees to it that there is one.
func (k *installer) bucket(ctx context.Context) error {
	if k.settings.S3.Endpoint == "" {
		k.o.Tell("bucket", "none to make: the object store is that of waybill up")
		return nil
	}
	k.onStop("object store", time.Second, k.closeObjects)
	if err := k.openExternalObjects(ctx); err != nil {
		return err
	}
	k.o.Tell("bucket", k.settings.S3.Bucket+" is there")
	return nil
}

// engine makes the namespace with its search attributes and takes it.
func (k *installer) engine(ctx context.Context) error {
	if k.settings.Temporal.Address == "" {
		k.o.Tell("namespace", "none to make: Temporal is that of waybill up")
		return nil
	}
	made, err := k.makeNamespace(ctx, k.o.NamespaceRetention)
	if err != nil {
		return err
	}
	word := "was there"
	if made {
		word = "is made, and keeps closed workflows for " + k.o.NamespaceRetention.String()
	}
	if made {
		k.changes = append(k.changes, job.AuditChange{Field: "namespace", After: k.settings.Temporal.Namespace})
	}
	k.o.Tell("namespace", k.settings.Temporal.Namespace+" "+word)
	k.onStop("Temporal client", 5*time.Second, k.closeTemporal)
	at := k.externalEngine()
	err = await(ctx, k.log, "Temporal of "+settings.Name("temporal"), func(ctx context.Context) error {
		return k.openTemporal(ctx, at)
	})
	if err != nil {
		return err
	}
	k.o.Tell("search attributes", "are registered")
	if k.keyring == nil {
		return nil
	}
	if err := k.claimNamespace(ctx, k.settings.Temporal.Address, false); err != nil {
		return err
	}
	k.o.Tell("claim", "the namespace is this installation's")
	return nil
}

// admin makes the first account and its admin. A password is given back only if it is this call's and the user's.
func (k *installer) admin(ctx context.Context) (word string, err error) {
	accounts := control.Accounts{Users: k.store, Hasher: password.New(), Now: k.now}
	there := func() (bool, error) {
		has, err := accounts.HasUser(ctx, control.AdminName)
		if has {
			k.o.Tell("admin", "the user "+control.AdminName+" was there; its password stays")
		}
		return has, err
	}
	if has, err := there(); has || err != nil {
		return "", err
	}
	given := k.settings.AdminPassword
	if given == "" {
		if !k.o.RandomPassword {
			return "", job.Errorf(job.Invalid, job.WordMissingField, "there is no user %s yet, and no password for it: give %s or %s_FILE, or --print-password for a random one",
				control.AdminName, settings.Name("admin-password"), settings.Name("admin-password"))
		}
		word = password.Random()
		given = word
	}
	audit := &control.Audit{Store: k.store, Log: k.log, Now: k.now}
	err = acting(ctx, audit, "account.create", "account", func(ctx context.Context) error {
		_, _, err := accounts.Create(ctx, control.DefaultAccount, control.AdminName, given, contract.SystemQueue)
		return err
	})
	if job.WordOf(err) == job.WordDuplicateName { // another one was faster
		if has, err := there(); has || err != nil {
			return "", err
		}
	}
	if err != nil {
		return "", fmt.Errorf("the user %s can not be made: %w", control.AdminName, err)
	}
	k.o.Tell("admin", "account "+control.DefaultAccount+" and user "+control.AdminName+" are made")
	return word, nil
}
