package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"waybill/internal/job"
)

func TestDriverCodesBecomeTheDomains(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]job.Code{
		2067: job.Conflict, 1555: job.Conflict, // UNIQUE, PRIMARY KEY
		5: job.Unavailable, 517: job.Unavailable, 6: job.Unavailable, // BUSY, BUSY_SNAPSHOT, LOCKED
		10: job.Unavailable, 778: job.Unavailable, 13: job.Unavailable, 14: job.Unavailable, 8: job.Unavailable, // I/O, full
		18: job.TooLarge, 275: job.Internal, 787: job.Internal, 1: job.Internal, 11: job.Internal, // CHECK, FOREIGN KEY, corrupt
	} {
		if got := sqliteClass(code); got != want {
			t.Errorf("SQLite %d = %s, want %s", code, got, want)
		}
	}
	for code, want := range map[string]job.Code{
		"23505": job.Conflict, "23503": job.Internal, "23514": job.Internal, "22021": job.Invalid, "54000": job.TooLarge,
		"08006": job.Unavailable, "53300": job.Unavailable, "53100": job.Unavailable, "57P01": job.Unavailable,
		"57014": job.Unavailable, "58030": job.Unavailable, "25006": job.Unavailable, "40001": job.Unavailable,
		"40P01": job.Unavailable, "42601": job.Internal, "": job.Internal,
	} {
		if got := postgresClass(code); got != want {
			t.Errorf("PostgreSQL %s = %s, want %s", code, got, want)
		}
	}
}

func TestFaultsKeepTheirCauseAndHideIt(t *testing.T) {
	t.Parallel()
	s := &Store{}
	for _, c := range []struct {
		err  error
		want job.Code
	}{
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, job.Unavailable},
		{io.ErrUnexpectedEOF, job.Unavailable},
		{context.Canceled, job.Canceled},
		{context.DeadlineExceeded, job.Unavailable},
		{&pgconn.PgError{Code: "23505", Message: "SELECT secret"}, job.Conflict},
		{errors.New("SELECT secret"), job.Internal},
		{job.Errorf(job.NotFound, job.WordNotFound, "gone"), job.NotFound},
	} {
		err := s.fault(t.Context(), fmt.Errorf("wrapped: %w", c.err))
		var e *job.Error
		if !errors.As(err, &e) || e.Code != c.want {
			t.Errorf("%v = %v, want %s", c.err, err, c.want)
			continue
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%v: the cause is lost", c.err)
		}
		if strings.Contains(e.Message, "secret") {
			t.Errorf("%v: message %q shows the cause", c.err, e.Message)
		}
		if (e.RetryAfter > 0) != (c.want == job.Unavailable) {
			t.Errorf("%v: retry after %s", c.err, e.RetryAfter)
		}
	}
	if err := s.fault(t.Context(), nil); err != nil {
		t.Errorf("no error = %v", err)
	}
}

func TestACancelledCallIsCanceledAndChangesNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		err := s.transact(ctx, func(tx *gorm.DB) error {
			if _, err := run(tx, "UPDATE job_configs SET name = 'changed' WHERE id = ?", c.ID); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if job.CodeOf(err) != job.Canceled {
			t.Errorf("transaction = %v, want canceled", err)
		}
		if _, err := s.Config(ctx, c.AccountID, c.ID); job.CodeOf(err) != job.Canceled {
			t.Errorf("read = %v, want canceled", err)
		}
		if got, err := s.Config(t.Context(), c.AccountID, c.ID); err != nil || got.Name != c.Name {
			t.Errorf("config = %q, %v, want it unchanged", got.Name, err)
		}
	})
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		_, err := s.Config(t.Context(), c.AccountID, c.ID)
		for name, err := range map[string]error{
			"read": err, "ping": s.Ping(t.Context()), "write": s.RevokeTokens(t.Context(), "x", time.Now()), "migrate": s.Migrate(t.Context()),
		} {
			if job.CodeOf(err) != job.Unavailable || job.WordOf(err) != job.WordDependencyDown {
				t.Errorf("%s = %v, want unavailable", name, err)
			}
		}
	})
}

func TestAServerThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{Driver: Postgres, URL: "postgres://waybill:hunter2@" + address + "/waybill?sslmode=disable"})
	if job.CodeOf(err) != job.Unavailable {
		t.Errorf("Open = %v, want unavailable", err)
	}
	if strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestSettingsThatCanNotBeOpenedAreInvalid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no driver":      {Path: "x"},
		"no path":        {Driver: SQLite},
		"no such folder": {Driver: SQLite, Path: filepath.Join(t.TempDir(), "none", "waybill.db")},
		"a folder":       {Driver: SQLite, Path: t.TempDir()},
		"no URL":         {Driver: Postgres},
		"not a URL":      {Driver: Postgres, URL: "postgres://waybill:hunter2@host:port/x"},
	} {
		_, err := Open(t.Context(), c)
		if job.CodeOf(err) != job.Invalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

func TestATransactionRolledBackForAnothersSakeIsRepeated(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")})
	for _, code := range []string{"40001", "40P01"} {
		tries := 0
		err := s.transact(t.Context(), func(*gorm.DB) error {
			if tries++; tries < 3 {
				return fmt.Errorf("commit: %w", &pgconn.PgError{Code: code})
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("%s: %v after %d tries, want success at the third", code, err, tries)
		}
		tries = 0
		err = s.transact(t.Context(), func(*gorm.DB) error { tries++; return &pgconn.PgError{Code: code} })
		if job.CodeOf(err) != job.Unavailable || tries != transactionTries {
			t.Errorf("%s: %v after %d tries, want unavailable after %d", code, err, tries, transactionTries)
		}
	}
	tries := 0
	err := s.transact(t.Context(), func(*gorm.DB) error { tries++; return &pgconn.PgError{Code: "23505"} })
	if job.CodeOf(err) != job.Conflict || tries != 1 {
		t.Errorf("unique violation: %v after %d tries, want a conflict at once", err, tries)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	err = s.transact(ctx, func(*gorm.DB) error { cancel(); return &pgconn.PgError{Code: "40001"} })
	if job.CodeOf(err) != job.Canceled {
		t.Errorf("cancelled between tries: %v, want canceled", err)
	}
}
