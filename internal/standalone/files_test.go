package standalone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// prepared makes a database and closes what this process holds open of it as far as the server lets it.
func prepared(t *testing.T, dir string) bool {
	t.Helper()
	_, rebuilt, err := prepare(t.Context(), dir, false)
	if err != nil {
		t.Fatal(err)
	}
	return rebuilt
}

func TestUnusableDatabaseIsPutAside(t *testing.T) {
	database := func(dir string) string { return filepath.Join(dir, databaseName) }
	overwrite := func(t *testing.T, path string, at int64, n int) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(strings.Repeat("garbage!", n/8)), at); err != nil {
			t.Fatal(err)
		}
	}
	for name, damage := range map[string]func(t *testing.T, dir string){
		"another server version": func(t *testing.T, dir string) {
			rewriteVersion(t, filepath.Dir(dir), func(v *version) { v.Server = "1.99.0" })
		},
		"other tables": func(t *testing.T, dir string) {
			rewriteVersion(t, filepath.Dir(dir), func(v *version) { v.Schema = "00" })
		},
		"no version": func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, versionName)); err != nil {
				t.Fatal(err)
			}
		},
		"a version that is no JSON": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, versionName), []byte("1.32"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"no database": func(t *testing.T, dir string) {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(database(dir) + suffix); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		},
		"an empty database":     func(t *testing.T, dir string) { truncate(t, database(dir), 0) },
		"half a database":       func(t *testing.T, dir string) { truncate(t, database(dir), 8*4096) },
		"garbage for a header":  func(t *testing.T, dir string) { overwrite(t, database(dir), 0, 64) },
		"garbage in the tables": func(t *testing.T, dir string) { overwrite(t, database(dir), 4096, 40*4096) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "engine")
			if prepared(t, dir) {
				t.Fatal("a new database says that it was rebuilt")
			}
			checkpoint(t, dir)
			if prepared(t, dir) {
				t.Fatal("a sound database was rebuilt")
			}
			damage(t, dir)
			if !prepared(t, dir) {
				t.Error("the database was not rebuilt")
			}
			if old := olds(t, dir); len(old) != 1 {
				t.Errorf("put aside: %q, want one folder", old)
			}
			if prepared(t, dir) {
				t.Error("the rebuilt database was rebuilt again")
			}
		})
	}
}

// checkpoint moves everything from the write-ahead log into the database file, where the damage is done.
func checkpoint(t *testing.T, dir string) {
	t.Helper()
	db, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func olds(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, oldPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestOnlyTheNewestOldFilesAreKept(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(dir, databaseName), []byte{byte('0' + i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := putAside(dir, now.Add(time.Duration(i)*time.Second))
		if err != nil || !found {
			t.Fatalf("putAside = %v, %v", found, err)
		}
	}
	old := olds(t, dir)
	if len(old) != 1 || filepath.Base(old[0]) != "old-20260102T030407.000Z" {
		t.Fatalf("kept %q, want the newest only", old)
	}
	if raw, err := os.ReadFile(filepath.Join(old[0], databaseName)); err != nil || string(raw) != "2" {
		t.Errorf("kept file holds %q, %v, want the newest", raw, err)
	}
	if found, err := putAside(dir, now.Add(time.Hour)); err != nil || found {
		t.Errorf("putAside of nothing = %v, %v", found, err)
	}
	if len(olds(t, dir)) != 1 {
		t.Error("putAside of nothing removed the old files")
	}
}

func TestDamageIsFoundWithoutABudget(t *testing.T) {
	dir := t.TempDir()
	prepared(t, dir)
	checkpoint(t, dir)
	if condemn(t.Context(), dir) {
		t.Fatal("a sound database was condemned")
	}
	truncate(t, filepath.Join(dir, databaseName), 8*4096)
	if !condemn(t.Context(), dir) {
		t.Fatal("a damaged database was not condemned")
	}
	if !prepared(t, dir) {
		t.Error("the condemned database was not rebuilt")
	}
}

func TestIndexesKept(t *testing.T) {
	for defaults, want := range map[bool]int{false: 6, true: 58} {
		dir := t.TempDir()
		if _, _, err := prepare(t.Context(), dir, defaults); err != nil {
			t.Fatal(err)
		}
		db, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var n int
		err = db.QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_schema
			WHERE type = 'index' AND tbl_name = 'executions_visibility' AND sql IS NOT NULL`).Scan(&n)
		if err != nil || n != want {
			t.Errorf("server defaults %v: %d indexes, %v, want %d", defaults, n, err, want)
		}
	}
}

func TestDatabaseInAnOddlyNamedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "50% of a folder?#x", "engine")
	for range 2 {
		if prepared(t, dir) {
			t.Error("the database was rebuilt")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName)); err != nil {
		t.Error(err)
	}
}
