package sqlstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"waybill/internal/job"
	"waybill/storage/sqlstore"
	"waybill/storage/storagetest"
)

// TestUsersAreChangedWhileRowsOfTheirAccountAreMade: a row that refers to the account shares the account's key until its transaction ends, which
// may itself wait for the user.
func TestUsersAreChangedWhileRowsOfTheirAccountAreMade(t *testing.T) {
	url := storagetest.PostgresURL(t)
	s := migrated(t, open(t, sqlstore.Config{Driver: sqlstore.Postgres, URL: url, MaxConns: 4}))
	now := time.Unix(1_800_000_000, 0).UTC()
	account, ann, err := s.CreateAccount(t.Context(), job.Account{Name: "north", CreatedAt: now}, "queue", job.User{Name: "ann", PasswordHash: "hash", Admin: true, Active: true, CreatedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	bob, err := s.CreateUser(t.Context(), job.User{AccountID: account.ID, Name: "bob", Admin: true, Active: true, CreatedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	hold := func(lock string) pgx.Tx {
		tx, err := conn.Begin(t.Context())
		if err == nil {
			_, err = tx.Exec(t.Context(), "SELECT id FROM accounts WHERE id = $1 "+lock, account.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	tx := hold("FOR KEY SHARE")
	bob.Admin = false
	if bob, err = s.UpdateUser(ctx, bob); err != nil {
		t.Fatalf("an admin is made none: %v", err)
	}
	_ = tx.Rollback(t.Context())
	tx = hold("FOR UPDATE")
	bob.City = "Town"
	if _, err = s.UpdateUser(ctx, bob); err != nil {
		t.Errorf("of who is no admin the account is not asked: %v", err)
	}
	_ = tx.Rollback(t.Context())
	ann.Admin = false
	if _, err = s.UpdateUser(ctx, ann); job.WordOf(err) != job.WordLastAdmin {
		t.Errorf("the last admin: %v", err)
	}
}
