package standalone

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"

	"waybill/workflows/contract"
)

const (
	databaseName = "temporal.db"
	versionName  = "VERSION"
	oldPrefix    = "old-"
	// retention is how long closed workflows stay visible in the engine. Jobs themselves live in Waybill's own database.
	retention = 7 * 24 * time.Hour
	// checkBudget bounds the search for damage at the start; a file too large to be read in it is taken as sound. SQLite
	// itself notices damage when it meets it.
	checkBudget = 250 * time.Millisecond
)

// version is what VERSION holds: which server made the file, and a digest of its tables as they were then. The server
// neither migrates an SQLite file nor checks it, so this is the only guard.
type version struct {
	Server string `json:"server"`
	Schema string `json:"schema"` // hex sha256 of sqlite_schema
}

// starts makes each start's data source name its own. The server's SQLite plugin keeps connections under that name for
// the life of the process, and a second start must not get one to a file that was put aside.
var starts atomic.Int64

// sqlConfig is the server's view of the database file.
func sqlConfig(dir string) *config.SQL {
	path := (&url.URL{Path: filepath.Join(dir, databaseName)}).EscapedPath()
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: path,
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			// In WAL mode "normal" can lose the last transactions when the machine loses power, never when the process
			// dies. Waybill's own database is the truth for jobs and its reconciler starts what the engine forgot.
			"synchronous":  "normal",
			"busy_timeout": strconv.FormatInt(10_000+starts.Add(1), 10), // ms
		},
	}
}

// prepare leaves a usable database in dir. rebuilt tells that there was one that could not be used.
func prepare(ctx context.Context, dir string, serverDefaults bool) (db *config.SQL, rebuilt bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("make the engine folder: %w", err)
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return nil, false, fmt.Errorf("engine folder is not writable: %w", err)
	}
	_ = f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return nil, false, fmt.Errorf("engine folder is not writable: %w", err)
	}

	switch usable, err := usable(ctx, dir); {
	case err != nil:
		return nil, false, err
	case usable:
		return sqlConfig(dir), false, nil
	}
	rebuilt, err = putAside(dir, time.Now())
	if err != nil {
		return nil, false, err
	}
	db = sqlConfig(dir)
	return db, rebuilt, create(ctx, dir, db, serverDefaults)
}

// usable tells whether dir holds a sound database of this server version. An error means that this could not be found out.
func usable(ctx context.Context, dir string) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(dir, versionName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the engine's version: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName)); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	var v version
	if json.Unmarshal(raw, &v) != nil || v.Server != headers.ServerVersion {
		return false, nil
	}
	db, err := open(dir)
	if err != nil {
		return false, err
	}
	defer db.Close()
	digest, err := schemaDigest(ctx, db)
	if err != nil || digest != v.Schema {
		return false, ctx.Err()
	}
	return sound(ctx, db, checkBudget), ctx.Err()
}

// sound looks for damage as long as budget lasts; 0 means to the end.
func sound(ctx context.Context, db *sql.DB, budget time.Duration) bool {
	if budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, budget)
		defer cancel()
	}
	var answer string
	err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&answer)
	if ctx.Err() != nil {
		return true
	}
	return err == nil && answer == "ok"
}

// condemn looks for damage that the quick look missed, after the server failed to start on the database. It tells whether
// the next prepare will make a new one.
func condemn(ctx context.Context, dir string) bool {
	db, err := open(dir)
	if err != nil {
		return false
	}
	defer db.Close()
	return !sound(ctx, db, 0) && os.Remove(filepath.Join(dir, versionName)) == nil
}

// create makes the tables, the namespace and, last, VERSION: without it the next start begins anew.
func create(ctx context.Context, dir string, db *config.SQL, serverDefaults bool) error {
	if err := schema.SetupSchema(db); err != nil {
		return fmt.Errorf("make the engine's tables: %w", err)
	}
	ns, err := createNamespace(db)
	if err != nil {
		return err
	}
	own, err := open(dir)
	if err != nil {
		return err
	}
	defer own.Close()
	if !serverDefaults {
		if err := dropIndexes(ctx, own, ns.Detail.GetConfig().GetCustomSearchAttributeAliases()); err != nil {
			return fmt.Errorf("drop indexes nobody uses: %w", err)
		}
	}
	digest, err := schemaDigest(ctx, own)
	if err != nil {
		return fmt.Errorf("read the engine's tables: %w", err)
	}
	raw, err := json.Marshal(version{Server: headers.ServerVersion, Schema: digest})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, versionName), append(raw, '\n'))
}

// createNamespace makes our namespace with its search attributes where there is none.
func createNamespace(db *config.SQL) (*schema.NamespaceConfig, error) {
	attrs, err := attributeTypes()
	if err != nil {
		return nil, err
	}
	ns, err := schema.NewNamespaceConfig(clusterName, Namespace, false, attrs)
	if err != nil {
		return nil, fmt.Errorf("describe the namespace: %w", err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	ns.Detail.Info.Description = "Jobs of Waybill"
	if err := schema.CreateNamespaces(db, ns); err != nil {
		return nil, fmt.Errorf("make the namespace: %w", err)
	}
	return ns, nil
}

// attributeTypes are the contract's search attributes as the server takes them.
func attributeTypes() (map[string]enumspb.IndexedValueType, error) {
	attrs := map[string]enumspb.IndexedValueType{}
	for name, kind := range contract.SearchAttributeTypes() {
		t, err := enumspb.IndexedValueTypeFromString(kind)
		if err != nil {
			return nil, fmt.Errorf("search attribute %s: %w", name, err)
		}
		attrs[name] = t
	}
	return attrs, nil
}

// dropIndexes leaves the visibility table the few indexes that Waybill's and people's usual queries need. The server makes
// 58, one per possible search attribute, and every workflow pays for all of them. Queries on the others still work; they
// read in the order of closing time. aliases maps a table column to the search attribute kept in it.
func dropIndexes(ctx context.Context, db *sql.DB, aliases map[string]string) error {
	keep := map[string]bool{"default_idx": true, "by_workflow_id": true, "by_status": true}
	for column, name := range aliases {
		switch name {
		case contract.AttrJob, contract.AttrJobConfig, contract.AttrRootJob:
			keep["by_keyword_"+strings.TrimPrefix(column, "Keyword")] = true
		}
	}
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema
		WHERE type = 'index' AND tbl_name = 'executions_visibility' AND sql IS NOT NULL`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var drop []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if !keep[name] {
			drop = append(drop, `DROP INDEX "`+name+`"`)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "BEGIN; "+strings.Join(append(drop, "COMMIT"), "; "))
	return err
}

// leave puts the files of an engine aside that is not used any more. It tells whether there were any.
func leave(dir string) (bool, error) {
	left, err := putAside(dir, time.Now())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return left, err
}

// putAside moves all files of the engine into old-<time>/, which replaces an earlier one. It tells whether there was a
// database.
func putAside(dir string, now time.Time) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, fmt.Errorf("list the engine folder: %w", err)
	}
	var files []string
	found := false
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), oldPrefix) {
			files = append(files, e.Name())
			found = found || e.Name() == databaseName || e.Name() == versionName
		}
	}
	if len(files) == 0 {
		return false, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), oldPrefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return false, fmt.Errorf("remove the older engine files: %w", err)
			}
		}
	}
	old := filepath.Join(dir, oldPrefix+now.UTC().Format("20060102T150405.000Z"))
	if err := os.Mkdir(old, 0o700); err != nil {
		return false, fmt.Errorf("put the old engine files aside: %w", err)
	}
	for _, name := range files {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(old, name)); err != nil {
			return false, fmt.Errorf("put the old engine files aside: %w", err)
		}
	}
	return found, nil
}

// open opens the database with the driver the server brings, beside the server's own connections.
func open(dir string) (*sql.DB, error) {
	path := (&url.URL{Path: filepath.Join(dir, databaseName)}).EscapedPath()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, fmt.Errorf("open the engine's database: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func schemaDigest(ctx context.Context, db *sql.DB) (string, error) {
	rows, err := db.QueryContext(ctx, "SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	h := sha256.New()
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00", kind, name, text)
	}
	return hex.EncodeToString(h.Sum(nil)), rows.Err()
}

// writeFile replaces path as a whole or not at all.
func writeFile(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
