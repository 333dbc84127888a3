package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"waybill/internal/app/settings"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
)

// given are settings as the environment gives them.
func given(t *testing.T, variables map[string]string) settings.Settings {
	t.Helper()
	t.Setenv("WAYBILL_DATA", filepath.Join(t.TempDir(), "data"))
	for name, value := range variables {
		t.Setenv(name, value)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	settings.AddFlags(flags, settings.Up)
	s, err := settings.Load(flags)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The lock that keeps two engines off one database belongs to a session, which a pooler does not keep.
func TestTheEngineGoesAroundPoolers(t *testing.T) {
	const direct, pooled = "postgres://waybill@postgres:5432/waybill", "postgres://waybill@pgbouncer:6432/waybill"
	for name, c := range map[string]struct {
		set  map[string]string
		want string // URL; "": the engine is not on PostgreSQL
		err  bool
	}{
		"no pooler":              {map[string]string{"WAYBILL_DATABASE": direct}, direct, false},
		"a pooler":               {map[string]string{"WAYBILL_DATABASE": pooled, "WAYBILL_DATABASE_DIRECT": direct, "WAYBILL_DATABASE_POOLER": "transaction"}, direct, false},
		"a direct URL":           {map[string]string{"WAYBILL_DATABASE": pooled, "WAYBILL_DATABASE_DIRECT": direct}, direct, false},
		"a pooler only":          {map[string]string{"WAYBILL_DATABASE": pooled, "WAYBILL_DATABASE_POOLER": "transaction"}, "", true},
		"a pooler and SQLite":    {map[string]string{"WAYBILL_DATABASE": pooled, "WAYBILL_DATABASE_POOLER": "transaction", "WAYBILL_ENGINE_STORE": "sqlite"}, "", false},
		"a pooler and another's": {map[string]string{"WAYBILL_DATABASE": pooled, "WAYBILL_DATABASE_POOLER": "transaction", "WAYBILL_TEMPORAL": "temporal:7233"}, "", false},
		"nothing":                {nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := given(t, c.set)
			got, err := (&App{parts: newParts(s, quiet())}).engineConfig()
			if (err != nil) != c.err {
				t.Fatalf("error %v", err)
			}
			switch {
			case (got.Postgres == nil) != (c.want == ""):
				t.Errorf("on PostgreSQL: %+v", got.Postgres)
			case got.Postgres != nil && got.Postgres.URL != c.want:
				t.Errorf("on %s, want %s", got.Postgres.URL, c.want)
			}
			if !c.err {
				return
			}
			_, err = Start(t.Context(), s, quiet())
			if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "WAYBILL_DATABASE_DIRECT") {
				t.Errorf("the start ends with %v", err)
			}
			if _, err := os.Stat(s.Data); !os.IsNotExist(err) {
				t.Errorf("it left a data folder behind: %v", err)
			}
		})
	}
}

// Neither are tables made through a pooler, where two processes could make them at once.
func TestTablesAreNotMadeThroughAPooler(t *testing.T) {
	server := os.Getenv("WAYBILL_TEST_POSTGRES")
	if server == "" {
		t.Skip("WAYBILL_TEST_POSTGRES is not set; test/bin/with-postgres sets it")
	}
	s := given(t, nil)
	s.Database.URL, s.Database.Pooled = ownDatabase(t, server), true
	store, err := sqlstore.Open(t.Context(), postgresConfig(s.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); job.CodeOf(err) != job.Invalid {
		t.Errorf("Migrate ends with %v", err)
	}
}
