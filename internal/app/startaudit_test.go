package app

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
)

// Whoever opens the tables brings them to its version, and that is an act like migrate up.
func TestTablesThatAreChangedAtTheStartAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "waybill.db")
	newest := ""
	open := func(prepare func(*sqlstore.Store)) (entries []job.AuditEntry) {
		t.Helper()
		store, err := openDatabase(t.Context(), settings.Settings{}, quiet(), file)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if prepare != nil {
			prepare(store)
			return nil
		}
		newest = versionOf(t.Context(), store)
		audit := &control.Audit{Store: store, Log: quiet(), Now: time.Now}
		var text bytes.Buffer
		if err := audit.ExportAll(t.Context(), nil, control.AuditNDJSON, &text); err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(&text); d.More(); {
			var e struct {
				Action, Actor, Result string
				Changes               []job.AuditChange
			}
			if err := d.Decode(&e); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, job.AuditEntry{Action: e.Action, Actor: e.Actor, Result: job.AuditResult(e.Result), Changes: e.Changes})
		}
		return entries
	}
	holds := func(when string, entries []job.AuditEntry, befores ...string) {
		t.Helper()
		if len(entries) != len(befores) {
			t.Fatalf("%s: %d entries, want %d: %+v", when, len(entries), len(befores), entries)
		}
		for i, e := range entries {
			if e.Action != "migrate.up" || e.Actor != "cli:"+machineUser() || e.Result != job.AuditOK || len(e.Changes) != 1 ||
				e.Changes[0] != (job.AuditChange{Field: "version", Before: befores[i], After: newest}) {
				t.Errorf("%s: %+v, want a change of the version from %q to %q", when, e, befores[i], newest)
			}
		}
	}
	holds("a new database", open(nil), "")
	holds("with nothing to do", open(nil), "")
	var older int64
	open(func(store *sqlstore.Store) { // as a program of before left it
		n, err := strconv.ParseInt(versionOf(t.Context(), store), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		older = n - 1
		if _, err := store.MigrateDown(t.Context(), older); err != nil {
			t.Fatal(err)
		}
	})
	holds("an older database", open(nil), "", strconv.FormatInt(older, 10))
}
