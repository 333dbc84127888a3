package app

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/secret"
	"waybill/storage/sqlstore"
)

// forgetful keeps no marks: with it an installation is of before there were any.
type forgetful struct{}

func (forgetful) KeepMark(_ context.Context, _, mark string) (string, error) { return mark, nil }
func (forgetful) Mark(context.Context, string) (string, error)               { return "", nil }

// The doctor tells which installation it is by what is stored, and makes nothing.
func TestTheDoctorMakesNoRootKey(t *testing.T) {
	t.Parallel()
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Driver: sqlstore.SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	master := secret.NewKey()
	masters := func() (secret.Masters, error) { return secret.Masters{master}, nil }
	open := func(marks control.Marks) secret.Keys {
		k := &control.Keyring{Store: store, Marks: marks, Masters: masters, Ring: secret.NewRing(), Now: time.Now}
		root, err := k.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	look := func(want string) {
		t.Helper()
		d := &doctor{parts: newParts(settings.Settings{MasterKey: master.Text()}, quiet())}
		if list := d.sealing(t.Context(), store); len(list) != 1 || list[0].Level != LevelOK || d.mine != want {
			t.Errorf("found %+v, installation %q, want %q", list, d.mine, want)
		}
	}
	open(forgetful{})
	look("")
	if mark, err := store.Mark(t.Context(), "root-key"); err != nil || mark != "" {
		t.Errorf("a root key was made: %q, %v", mark, err)
	}
	root := open(store)
	look(installationOf(root))
}
