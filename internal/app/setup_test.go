package app

import (
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/rs/xid"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/secret"
	"waybill/storage/sqlstore"
)

// external makes settings of an installation of the test's own on real components, or skips.
func external(t *testing.T) settings.Settings {
	t.Helper()
	postgres, s3, temporal := os.Getenv("WAYBILL_TEST_POSTGRES"), os.Getenv("WAYBILL_TEST_S3"), os.Getenv("WAYBILL_TEST_TEMPORAL")
	if postgres == "" || s3 == "" || temporal == "" {
		t.Skip("needs WAYBILL_TEST_POSTGRES, WAYBILL_TEST_S3 and WAYBILL_TEST_TEMPORAL: run it with test/bin/with-postgres test/bin/with-minio test/bin/with-temporal")
	}
	store, err := url.Parse(s3)
	if err != nil {
		t.Fatal(err)
	}
	name := "setup-" + xid.New().String()
	key, _ := store.User.Password()
	s := settings.Settings{Data: t.TempDir(), MasterKey: secret.NewKey().Text()}
	s.Database.URL = ownDatabase(t, postgres)
	s.S3 = settings.S3{Endpoint: store.Host, AccessKey: store.User.Username(), SecretKey: key, Region: "us-east-1", Bucket: name, CreateBucket: true, Lookup: "auto", Timeout: time.Minute}
	s.Temporal.Address, s.Temporal.Namespace = temporal, name
	return s
}

// ownDatabase makes a database beside that of the URL and gives its URL.
func ownDatabase(t *testing.T, server string) string {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := "setup_" + xid.New().String()
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Containers of one installation start together, and each sets up: one of them makes the admin, and only that one shows a word.
func TestSetupRunsSeveralTimesAtOnce(t *testing.T) {
	s := external(t)
	const times = 3
	words, told := make([]string, times), make([]strings.Builder, times)
	var all sync.WaitGroup
	for i := range times {
		all.Go(func() {
			var err error
			words[i], err = Setup(t.Context(), s, quiet(), SetupOptions{
				RandomPassword: true, NamespaceRetention: 24 * time.Hour, Tell: func(what, done string) { fmt.Fprintln(&told[i], what, done) },
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var shown, made int
	for i := range times {
		if words[i] != "" {
			shown++
		}
		made += strings.Count(told[i].String(), "user admin are made")
		if !strings.Contains(told[i].String(), "the namespace is this installation's") {
			t.Errorf("not all is done:\n%s", told[i].String())
		}
	}
	if shown != 1 || made != 1 {
		t.Errorf("%d passwords shown, %d admins made", shown, made)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Driver: sqlstore.Postgres, URL: s.Database.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if u, err := store.UserByName(t.Context(), control.AdminName); err != nil || !u.Admin || !u.Active {
		t.Errorf("the admin is %+v %v", u, err)
	}
	again, err := Setup(t.Context(), s, quiet(), SetupOptions{NamespaceRetention: 24 * time.Hour, Tell: func(string, string) {}})
	if err != nil || again != "" {
		t.Errorf("a later call: %q %v", again, err)
	}
}

// Without a password no admin is made up, and the rest is done all the same.
func TestSetupWithoutAPassword(t *testing.T) {
	s := settings.Settings{Data: t.TempDir()}
	var told strings.Builder
	o := SetupOptions{Tell: func(what, done string) { fmt.Fprintln(&told, what, done) }}
	word, err := Setup(t.Context(), s, quiet(), o)
	if err == nil || !strings.Contains(err.Error(), "WAYBILL_ADMIN_PASSWORD_FILE") || word != "" || !strings.Contains(told.String(), "namespace none") {
		t.Fatalf("%q %v\n%s", word, err, told.String())
	}
	s.AdminPassword = "a-given-password"
	told.Reset()
	word, err = Setup(t.Context(), s, quiet(), o)
	if err != nil || word != "" || strings.Contains(told.String(), s.AdminPassword) || !strings.Contains(told.String(), "user admin are made") {
		t.Fatalf("%q %v\n%s", word, err, told.String())
	}
}
