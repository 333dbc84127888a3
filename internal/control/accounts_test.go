package control_test

import (
	"context"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// asIs stands for the real hash, which is slow on purpose.
type asIs struct{}

func (asIs) Hash(_ context.Context, password string) (string, error) { return password, nil }

func TestBadAccountsAreRefused(t *testing.T) {
	w := newWorld(t)
	accounts := control.Accounts{Users: w.store, Hasher: asIs{}, Now: w.Now}
	for name, x := range map[string]struct {
		account, admin, password string
		code                     job.Code
		word                     job.Word
	}{
		"no name":          {" ", "bob", "it is long enough", job.Invalid, job.WordInvalidField},
		"odd name":         {"a b", "bob", "it is long enough", job.Invalid, job.WordInvalidField},
		"odd user":         {"beta", "bob\n", "it is long enough", job.Invalid, job.WordInvalidField},
		"short password":   {"beta", "bob", "short", job.Invalid, job.WordInvalidField},
		"account is taken": {"DEFAULT", "bob", "it is long enough", job.Conflict, job.WordDuplicateName},
		"user is taken":    {"beta", "Admin", "it is long enough", job.Conflict, job.WordDuplicateName},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := accounts.Create(t.Context(), x.account, x.admin, x.password, "queue")
			want(t, err, x.code, x.word)
		})
	}
	if has, err := accounts.HasUser(t.Context(), "bob"); err != nil || has {
		t.Errorf("a refused account left its user: %v, %v", has, err)
	}
	a, u, err := accounts.Create(t.Context(), "Beta", "bob", "it is long enough", "queue")
	if err != nil || a.Name != "beta" || u.AccountID != a.ID || !u.Admin || !u.Active {
		t.Errorf("made %+v %+v, %v", a, u, err)
	}
	if has, err := accounts.HasUser(t.Context(), "BOB"); err != nil || !has {
		t.Errorf("the user is not found: %v, %v", has, err)
	}
}
