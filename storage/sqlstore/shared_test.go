package sqlstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/limit"
	"waybill/internal/secret"
	"waybill/internal/token"
	"waybill/storage/sqlstore"
	"waybill/storage/storagetest"
)

// twoProcesses opens one database twice, as two processes that serve REST do.
func twoProcesses(t *testing.T, check func(t *testing.T, a, b *sqlstore.Store)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		c := sqlstore.Config{Driver: sqlstore.SQLite, Path: filepath.Join(t.TempDir(), "shared.db")}
		check(t, migrated(t, open(t, c)), open(t, c))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		c := sqlstore.Config{Driver: sqlstore.Postgres, URL: storagetest.PostgresURL(t), MaxConns: 8}
		check(t, migrated(t, open(t, c)), open(t, c))
	})
}

func TestProcessesShareLimits(t *testing.T) {
	t.Parallel()
	twoProcesses(t, func(t *testing.T, a, b *sqlstore.Store) {
		now := func() time.Time { return time.Unix(1_800_000_000, 0) }
		limiters := []*limit.Limiter{limit.New(a, nil, now), limit.New(b, nil, now)}
		var let atomic.Int64
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for range 60 {
					if !limiters[i%2].Take(t.Context(), limit.Windows("diem", 100, time.Minute), "key:1").Refused() {
						let.Add(1)
					}
				}
			})
		}
		if all.Wait(); let.Load() < 100 || let.Load() > 110 {
			t.Errorf("%d of 240 calls were let through, want 100 or a few more", let.Load())
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if limiters[1].Take(t.Context(), limit.Leaking("native", 5, 1), "key:2").Refused() { // too small for a tenth of it
			t.Error("without the database calls are refused")
		}
	})
}

// plainly are passwords as they are.
type plainly struct{}

func (plainly) Matches(_ context.Context, password, hash string) (bool, error) {
	return hash != "" && password == hash, nil
}

func TestProcessesShareLockouts(t *testing.T) {
	t.Parallel()
	twoProcesses(t, func(t *testing.T, a, b *sqlstore.Store) {
		_, _, err := a.CreateAccount(t.Context(), job.Account{Name: "one", CreatedAt: time.Now()}, "q",
			job.User{Name: "admin", PasswordHash: "right", Active: true, CreatedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		var sessions []*control.Sessions
		for _, s := range []*sqlstore.Store{a, b} {
			sessions = append(sessions, &control.Sessions{
				Refresher: token.NewRefresher(secret.NewRing(secret.Numbered{Number: 1, Keys: secret.NewKey()}).Derived("refresh-token")),
				Users:     s, Tokens: s, Lockouts: s, Passwords: plainly{}, Signer: token.NewSigner(make([]byte, 32), time.Now), Now: time.Now,
				NewFamily: func() string { return fmt.Sprint(time.Now().UnixNano()) },
			})
		}
		try := func(process int, password, address string) job.Word {
			_, err := sessions[process].Login(t.Context(), "admin", password, address)
			return job.WordOf(err)
		}
		if got := try(0, "right", "10.0.0.7"); got != "" {
			t.Fatal(got)
		}
		for i := range 9 {
			if got := try(i%2, "wrong", "10.0.0.1"); got != job.WordBadCredentials {
				t.Fatalf("failure %d: %s", i+1, got)
			}
		}
		for i, want := range []job.Word{job.WordLockedOut, job.WordLockedOut} {
			if got := try(i, "wrong", "10.0.0.1"); got != want {
				t.Errorf("the tenth and eleventh, process %d: %s", i, got)
			}
		}
		for process := range 2 {
			if got := try(process, "right", "10.0.0.1"); got != job.WordLockedOut {
				t.Errorf("the right password, process %d: %q", process, got)
			}
		}
		for i := range 60 { // from everywhere
			try(i%2, "wrong", fmt.Sprintf("192.0.2.%d", i))
		}
		if got := try(1, "right", "10.0.0.7"); got != "" {
			t.Errorf("from where the user signed in at the other process: %s", got)
		}
		if got := try(1, "right", "10.0.0.8"); got != job.WordLockedOut {
			t.Errorf("from where nobody did: %q", got)
		}
	})
}
