package standalone

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/blang/semver/v4"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/server/common/log"
	v12 "go.temporal.io/server/schema/postgresql/v12"
	"go.temporal.io/server/tools/common/schema"
)

// schemaKind is one of the engine's two databases, and what the server wants in it.
type schemaKind struct {
	database, flag string
	name           string // of the schema, in the server's module
	version        string
	table          string // that it has and the other has not
}

func (s *postgresStore) kinds() []schemaKind {
	return []schemaKind{
		{s.store, storeFlag, "postgresql/v12/temporal", v12.Version, "executions"},
		{s.visibility, visibilityFlag, "postgresql/v12/visibility", v12.VisibilityVersion, "executions_visibility"},
	}
}

// upgrade brings one database to this server's schema, step by step with the server's own tool, in one transaction: it is
// done as a whole or not at all. The caller holds the engine, so nobody uses the tables meanwhile.
func (s *postgresStore) upgrade(ctx context.Context, k schemaKind) error {
	conn, err := s.connect(ctx, s.at(k.database, "waybill engine set-up"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing depends on it
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("upgrade the engine's database %s: %w", k.database, err)
	}
	db := &schemaDB{ctx: ctx, tx: tx, name: k.database}
	from, err := db.check(k)
	if err == nil && from != k.version {
		if from == "" {
			s.log.InfoContext(ctx, "the engine's tables are made", "database", k.database, "version", k.version)
		} else {
			s.log.InfoContext(ctx, "the engine's tables are upgraded", "database", k.database, "from", from, "to", k.version)
		}
		err = db.bring(k, from == "")
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	switch {
	case err == nil:
		return nil
	case hasState(err, "42501"):
		err = fmt.Errorf("%w. The user %q must own the database: let an administrator of the server run: ALTER DATABASE %s OWNER TO %s;",
			err, s.owner, quoted(k.database), quoted(s.owner))
	}
	return errors.Join(fmt.Errorf("%s %s: %w", k.flag, k.database, err), tx.Rollback(context.WithoutCancel(ctx)))
}

// schemaDB is a transaction as the server's schema tool sees a database.
type schemaDB struct {
	ctx  context.Context
	tx   pgx.Tx
	name string
}

var _ schema.DB = (*schemaDB)(nil)

// check tells the version of the tables; "" when there are none. What the server must not run on is an error.
func (d *schemaDB) check(k schemaKind) (string, error) {
	var versioned, own bool
	var tables int
	err := d.tx.QueryRow(d.ctx, `SELECT to_regclass('public.schema_version') IS NOT NULL, to_regclass('public.' || $1) IS NOT NULL,
		(SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public')`, k.table).Scan(&versioned, &own, &tables)
	switch {
	case err != nil:
		return "", err
	case tables == 0:
		return "", nil
	case !versioned || !own:
		return "", errors.New("the database holds tables of something else; name one of the engine's own, or one that is empty")
	}
	var name, has string
	err = d.tx.QueryRow(d.ctx, `SELECT db_name, curr_version FROM schema_version WHERE version_partition = 0 ORDER BY db_name = $1 DESC LIMIT 1`,
		d.name).Scan(&name, &has)
	if err != nil {
		return "", fmt.Errorf("read the version of the tables: %w", err)
	}
	if name != d.name { // it was restored under another name
		if _, err := d.tx.Exec(d.ctx, "UPDATE schema_version SET db_name = $1 WHERE version_partition = 0 AND db_name = $2", d.name, name); err != nil {
			return "", err
		}
	}
	now, err := semver.ParseTolerant(has)
	if err != nil {
		return "", fmt.Errorf("the version of the tables is %q: %w", has, err)
	}
	if wanted := semver.MustParse(k.version + ".0"); now.GT(wanted) {
		return "", fmt.Errorf("its tables have version %s, and this Waybill's Temporal server knows %s: a newer Waybill made them. "+
			"Run that one; or drop the engine's databases, which costs no job: unfinished ones are started again", has, k.version)
	}
	return has, nil
}

// bring runs the server's tool.
func (d *schemaDB) bring(k schemaKind, empty bool) error {
	logger := log.NewNoopLogger() // what goes wrong is in the error
	if empty {
		if err := schema.NewSetupSchemaTask(d, &schema.SetupConfig{InitialVersion: "0.0"}, logger).Run(); err != nil {
			return fmt.Errorf("make the table of versions: %w", err)
		}
	}
	if err := schema.NewUpdateSchemaTask(d, &schema.UpdateConfig{SchemaName: k.name}, logger).Run(); err != nil {
		return fmt.Errorf("upgrade the tables: %w", err)
	}
	return nil
}

// Exec runs a statement within a savepoint: the tool goes on after some that fail.
func (d *schemaDB) Exec(stmt string, args ...any) error {
	// An index can not be made concurrently within a transaction, and nobody is there to be held up.
	stmt = strings.Replace(stmt, "CREATE INDEX CONCURRENTLY", "CREATE INDEX", 1)
	return pgx.BeginFunc(d.ctx, d.tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(d.ctx, stmt, args...)
		return err
	})
}

// CreateSchemaVersionTables makes the tables that the tool notes its versions in, as the server's plugin has them.
func (d *schemaDB) CreateSchemaVersionTables() error {
	return errors.Join(
		d.Exec(`CREATE TABLE schema_version (version_partition INT NOT NULL, db_name VARCHAR(255) NOT NULL, creation_time TIMESTAMP,
			curr_version VARCHAR(64), min_compatible_version VARCHAR(64), PRIMARY KEY (version_partition, db_name))`),
		d.Exec(`CREATE TABLE schema_update_history (version_partition INT NOT NULL, year INT NOT NULL, month INT NOT NULL,
			update_time TIMESTAMP NOT NULL, description VARCHAR(255), manifest_md5 VARCHAR(64), new_version VARCHAR(64),
			old_version VARCHAR(64), PRIMARY KEY (version_partition, year, month, update_time))`))
}

// ReadSchemaVersion reads the version that the tables have.
func (d *schemaDB) ReadSchemaVersion() (version string, err error) {
	err = d.tx.QueryRow(d.ctx, "SELECT curr_version FROM schema_version WHERE version_partition = 0 AND db_name = $1", d.name).Scan(&version)
	return version, err
}

// UpdateSchemaVersion notes a step.
func (d *schemaDB) UpdateSchemaVersion(version, minCompatible string) error {
	return d.Exec(`INSERT INTO schema_version (version_partition, db_name, creation_time, curr_version, min_compatible_version)
		VALUES (0, $1, timezone('UTC', clock_timestamp()), $2, $3) ON CONFLICT (version_partition, db_name) DO UPDATE
		SET creation_time = excluded.creation_time, curr_version = excluded.curr_version, min_compatible_version = excluded.min_compatible_version`,
		d.name, version, minCompatible)
}

// WriteSchemaUpdateLog notes when and by what a step was made.
func (d *schemaDB) WriteSchemaUpdateLog(oldVersion, newVersion, manifestMD5, description string) error {
	return d.Exec(`INSERT INTO schema_update_history
		(version_partition, year, month, update_time, old_version, new_version, manifest_md5, description)
		SELECT 0, extract(year FROM now)::int, extract(month FROM now)::int, now, $1, $2, $3, $4 FROM timezone('UTC', clock_timestamp()) AS now`,
		oldVersion, newVersion, manifestMD5, description)
}

// DropAllTables is no part of an upgrade.
func (d *schemaDB) DropAllTables() error { return errors.New("the engine's tables are not dropped") }

// Close leaves the transaction to its owner.
func (d *schemaDB) Close() {}

// Type is the tool's word for all but Cassandra.
func (d *schemaDB) Type() string { return "sql" }
