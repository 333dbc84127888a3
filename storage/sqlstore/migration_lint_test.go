package sqlstore

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bigTables have a row for each job, file or call, or more: a statement that rewrites one, or reads all of it while others wait,
// stops an installation for as long. A table may be treated as one likes by the migration that makes it.
var bigTables = []string{
	"jobs", "job_inputs", "job_tags", "job_attempts", "job_steps", "job_outputs", "job_events", "job_errors", "job_error_data",
	"job_messages", "job_values", "job_files", "job_files_now", "retry_records", "job_count_changes", "job_tagged", "job_tag_count_changes", "idempotency_keys", "file_keys",
	"file_versions", "file_links", "schedule_fires", "deliveries", "delivery_attempts", "audit_log", "token_families",
}

// landedAnyway do what the lint refuses, and came before there was an installation with much in its tables. It takes no more.
var landedAnyway = map[string][]string{
	"00002_engine.sql":    {"jobs: an index that keeps writers out"},
	"00007_retention.sql": {"jobs: an index that keeps writers out", "file_keys: an index that keeps writers out", "file_versions: an index that keeps writers out"},
	"00008_lanes.sql":     {"jobs: an index that keeps writers out"},
}

var (
	sqlComment  = regexp.MustCompile(`(?m)--.*$`)
	sqlSpace    = regexp.MustCompile(`\s+`)
	madeTable   = regexp.MustCompile(`(?i)CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)
	madeIndex   = regexp.MustCompile(`(?i)^CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?(\w+) ON (?:ONLY )?(\w+)`)
	goneIndex   = regexp.MustCompile(`(?i)^DROP INDEX (CONCURRENTLY )?(?:IF EXISTS )?(\w+)`)
	alterTable  = regexp.MustCompile(`(?i)^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?(\w+) (.*)$`)
	heavy       = regexp.MustCompile(`(?i)^(?:UPDATE|DELETE FROM|VACUUM FULL|CLUSTER|REINDEX TABLE|TRUNCATE|LOCK TABLE|LOCK) (?:ONLY )?(\w+)`)
	constant    = regexp.MustCompile(`(?i)\bDEFAULT (?:'[^']*'|-?\d+|true|false|NULL)(?:$|[ ,)])`)
	hasDefault  = regexp.MustCompile(`(?i)\bDEFAULT\b`)
	rewritten   = regexp.MustCompile(`(?i)\b(?:ALTER (?:COLUMN )?\w+ (?:SET DATA )?TYPE|SET (?:UN)?LOGGED|SET TABLESPACE|SET ACCESS METHOD)\b`)
	readWhole   = regexp.MustCompile(`(?i)\b(?:SET NOT NULL|VALIDATE CONSTRAINT)\b`)
	constrained = regexp.MustCompile(`(?i)\bADD (?:CONSTRAINT \w+ )?(?:CHECK|FOREIGN KEY|UNIQUE|PRIMARY KEY|EXCLUDE)\b`)
	harmless    = regexp.MustCompile(`(?i)\b(?:NOT VALID|USING INDEX)\b`)
	computed    = regexp.MustCompile(`(?i)\b(?:GENERATED|PRIMARY KEY|UNIQUE|REFERENCES|\w*SERIAL)\b`)
)

// lint tells what a PostgreSQL migration does to big tables that keeps others from them for long.
func lint(text string) (faults []string) {
	up, _, _ := strings.Cut(text, "-- +goose Down")
	alone := strings.Contains(text, "-- +goose NO TRANSACTION")
	up = sqlComment.ReplaceAllString(up, "")
	var made []string
	for _, m := range madeTable.FindAllStringSubmatch(up, -1) {
		made = append(made, m[1])
	}
	big := func(table string) bool { return slices.Contains(bigTables, table) && !slices.Contains(made, table) }
	fault := func(table, what string) { faults = append(faults, table+": "+what) }
	var gone []string
	for _, statement := range statementsOf(up) {
		if m := goneIndex.FindStringSubmatch(statement); m != nil {
			gone = append(gone, m[2])
			if m[1] == "" {
				fault(m[2], "an index dropped under a lock that keeps everybody out: DROP INDEX CONCURRENTLY")
			}
		}
		if m := madeIndex.FindStringSubmatch(statement); m != nil && big(m[3]) {
			switch {
			case m[1] == "":
				fault(m[3], "an index that keeps writers out")
			case !alone:
				fault(m[3], "CONCURRENTLY goes with +goose NO TRANSACTION only")
			case !slices.Contains(gone, m[2]):
				fault(m[3], "an index that a broken off attempt left invalid is not dropped first")
			}
		}
		if m := heavy.FindStringSubmatch(statement); m != nil && big(m[1]) {
			fault(m[1], "all rows in one statement")
		}
		if m := alterTable.FindStringSubmatch(statement); m != nil && big(m[1]) {
			lintAlter(m[1], m[2], fault)
		}
	}
	return faults
}

func lintAlter(table, action string, fault func(table, what string)) {
	adds := regexp.MustCompile(`(?i)\bADD (?:COLUMN )?`).MatchString(action) && !constrained.MatchString(action)
	switch {
	case rewritten.MatchString(action):
		fault(table, "rewritten")
	case readWhole.MatchString(action):
		fault(table, "read whole under a lock")
	case constrained.MatchString(action) && !harmless.MatchString(action):
		fault(table, "a constraint that is checked under a lock: NOT VALID, or USING INDEX")
	case adds && computed.MatchString(action):
		fault(table, "a column that rewrites or reads the table")
	case adds && hasDefault.MatchString(action) && !constant.MatchString(action):
		fault(table, "a column whose default is computed for each row")
	case adds && strings.Contains(strings.ToUpper(action), "NOT NULL") && !hasDefault.MatchString(action):
		fault(table, "a column that is NOT NULL and has no default")
	}
}

// statementsOf splits at the semicolons outside of $$ bodies; the statements of a DO body come on their own, too.
func statementsOf(text string) (all []string) {
	for i, part := range strings.Split(text, "$$") {
		if i%2 == 1 {
			part = regexp.MustCompile(`(?i)\b(?:BEGIN|THEN|ELSE|LOOP)\b`).ReplaceAllString(part, ";")
		}
		for _, s := range strings.Split(part, ";") {
			if s = strings.TrimSpace(sqlSpace.ReplaceAllString(s, " ")); s != "" {
				all = append(all, s)
			}
		}
	}
	return all
}

func TestNoMigrationKeepsOthersFromABigTable(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations, "migrations/postgres/*.sql")
	if err != nil || len(names) < 15 {
		t.Fatalf("%d migrations, %v", len(names), err)
	}
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file := name[strings.LastIndex(name, "/")+1:]
		for _, fault := range lint(string(text)) {
			if !slices.Contains(landedAnyway[file], fault) {
				t.Errorf("%s: %s", file, fault)
			}
		}
	}
}

func TestTheLintOfMigrationsFinds(t *testing.T) {
	t.Parallel()
	const alone = "-- +goose NO TRANSACTION\n"
	for text, want := range map[string]string{
		"CREATE INDEX x ON jobs (worker);":                                             "keeps writers out",
		"CREATE UNIQUE INDEX IF NOT EXISTS x\n    ON job_tags (tag);":                  "keeps writers out",
		"DROP INDEX CONCURRENTLY IF EXISTS x; CREATE INDEX CONCURRENTLY x ON jobs (a)": "NO TRANSACTION",
		alone + "CREATE INDEX CONCURRENTLY x ON jobs (worker);":                        "left invalid",
		"DROP INDEX jobs_lane;":                                                        "keeps everybody out",
		"ALTER TABLE jobs ADD COLUMN x text NOT NULL;":                                 "no default",
		"ALTER TABLE jobs ADD x bigint DEFAULT nextval('s');":                          "computed for each row",
		"ALTER TABLE jobs ADD COLUMN x timestamptz NOT NULL DEFAULT clock_timestamp()": "computed for each row",
		"ALTER TABLE jobs ADD COLUMN x bigint GENERATED ALWAYS AS (a + 1) STORED":      "rewrites",
		"ALTER TABLE jobs ALTER COLUMN attempt TYPE integer;":                          "rewritten",
		"ALTER TABLE job_errors ALTER message SET DATA TYPE varchar(9)":                "rewritten",
		"ALTER TABLE jobs ALTER COLUMN worker SET NOT NULL":                            "read whole",
		"ALTER TABLE jobs ADD CONSTRAINT x CHECK (attempt > 0)":                        "checked under a lock",
		"ALTER TABLE jobs ADD FOREIGN KEY (a) REFERENCES b (id)":                       "checked under a lock",
		"UPDATE jobs SET worker = '' ;":                                                "all rows",
		"DO $$\nBEGIN\n    UPDATE jobs SET worker = '';\nEND\n$$;":                     "all rows",
		"VACUUM FULL jobs;": "all rows",
		"ALTER TABLE jobs ADD COLUMN x text COLLATE \"C\" NOT NULL DEFAULT '';":                            "",
		"ALTER TABLE jobs ADD COLUMN x bigint;":                                                            "",
		"ALTER TABLE jobs ADD CONSTRAINT x CHECK (attempt > 0) NOT VALID":                                  "",
		"CREATE TABLE job_inputs (a text); CREATE INDEX x ON job_inputs (a);":                              "",
		"CREATE INDEX x ON users (name);":                                                                  "",
		"SELECT 1; -- CREATE INDEX x ON jobs (worker);":                                                    "",
		alone + "DROP INDEX CONCURRENTLY IF EXISTS x; CREATE INDEX CONCURRENTLY x ON jobs (worker);":       "",
		"CREATE INDEX x ON users (name);\n-- +goose Down\nDROP INDEX x; ALTER TABLE jobs ALTER a TYPE int": "",
	} {
		if got := strings.Join(lint("-- +goose Up\n"+text), ", "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
