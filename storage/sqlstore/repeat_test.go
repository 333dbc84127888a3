package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"waybill/internal/job"
)

// twice is a pool of one goroutine that rolls each transaction back when it is first committed, as PostgreSQL does for another's sake: whatever is
// stored was done by a repeat.
type twice struct {
	*sql.DB
	repeat bool // the transaction under way is one
	count  int
	// meanwhile happens between a transaction and its repeat.
	meanwhile func()
}

type reluctant struct {
	*sql.Tx
	pool *twice
}

// allTwice has every transaction of the store be repeated once.
func allTwice(t *testing.T, s *Store) *twice {
	t.Helper()
	pool, ok := s.write.ConnPool.(*sql.DB)
	if !ok {
		t.Fatalf("the pool is a %T", s.write.ConnPool)
	}
	p := &twice{DB: pool, meanwhile: func() {}}
	s.write.ConnPool, s.write.Statement.ConnPool = p, p
	return p
}

func (p *twice) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := p.DB.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &reluctant{tx, p}, nil
}

func (r *reluctant) Commit() error {
	p := r.pool
	if p.repeat = !p.repeat; !p.repeat {
		return r.Tx.Commit()
	}
	p.count++
	if err := r.Rollback(); err != nil {
		return err
	}
	p.meanwhile()
	return &pgconn.PgError{Code: pgSerializationFailure}
}

// TestUserIsChangedByARepeatAsAtFirst: what is checked before a user is changed, and what comes with the change, is of every try.
func TestUserIsChangedByARepeatAsAtFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		c, ctx := inhabited(t, s), t.Context()
		now := time.Unix(1_800_000_000, 0).UTC()
		user := func(name string, admin bool) job.User {
			u, err := s.CreateUser(ctx, job.User{AccountID: c.AccountID, Name: name, PasswordHash: "hash", Admin: admin, Active: true, CreatedAt: now})
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		ann, ben, cat := user("ann", true), user("ben", false), user("cat", true)
		login := job.TokenFamily{ID: "family", AccountID: c.AccountID, UserID: ben.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour), RefreshHash: "x"}
		if err := s.CreateTokenFamily(ctx, login, ""); err != nil {
			t.Fatal(err)
		}
		pool := allTwice(t, s)

		ben.SSO = job.Subject{Issuer: "https://idp.example", ID: "ben"}
		ben.ModifiedAt = now
		bound, err := s.UpdateUser(ctx, ben)
		if err != nil || pool.count != 1 {
			t.Fatalf("%v, %d transactions were repeated", err, pool.count)
		}
		stored, err := s.User(ctx, c.AccountID, ben.ID)
		if err != nil || stored.PasswordHash != "" || stored.SSO != ben.SSO || bound.Change != ben.Change+1 || stored.Change != bound.Change {
			t.Errorf("whom the provider vouches for from now on: %+v, %v", stored, err)
		}
		if got, err := s.TokenFamily(ctx, login.ID); err != nil || got.RevokedAt.IsZero() {
			t.Errorf("the login from before goes on: %+v, %v", got, err)
		}

		pool.meanwhile = func() { // somebody puts the other admin out
			if _, err := pool.ExecContext(ctx, fmt.Sprintf("UPDATE users SET active = false, change = change + 1 WHERE id = %d", cat.ID)); err != nil {
				t.Error(err)
			}
		}
		ann.Admin = false
		if _, err := s.UpdateUser(ctx, ann); job.WordOf(err) != job.WordLastAdmin || pool.count != 2 {
			t.Errorf("the last admin: %v, %d transactions were repeated", err, pool.count)
		}
	})
}
