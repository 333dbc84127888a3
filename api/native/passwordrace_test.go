package native_test

import (
	"context"
	"testing"

	"waybill/internal/control"
)

// meanwhileHashing has something happen while a new password is hashed.
type meanwhileHashing struct {
	control.Hashing
	meanwhile func()
}

func (h meanwhileHashing) Hash(ctx context.Context, password string) (string, error) {
	h.meanwhile()
	return h.Hashing.Hash(ctx, password)
}

// TestAResetOutlivesAnOwnChangeUnderWay: an admin resets the password of a user whose login was stolen while the thief changes it.
func TestAResetOutlivesAnOwnChangeUnderWay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.User(t, "uma", "tulips-of-uma")
	reset, err := f.People.Hasher.Hash(t.Context(), "carnations-of-uma")
	if err != nil {
		t.Fatal(err)
	}
	f.token = f.login("uma", "tulips-of-uma")
	f.People.Hasher = meanwhileHashing{f.People.Hasher, func() {
		if _, err := f.Store.SetPassword(t.Context(), u.AccountID, u.ID, reset, f.Now()); err != nil {
			t.Error(err)
		}
	}}
	f.do("POST", "/api/users/2/password", `{"oldPassword":"tulips-of-uma","newPassword":"a-thief-was-here-1"}`).fault(t, 401, "bad_credentials", "")
	f.login("uma", "carnations-of-uma")
}
