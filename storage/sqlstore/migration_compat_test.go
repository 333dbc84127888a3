package sqlstore

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// During a rolling upgrade the processes of the version before read and write the tables of the new one (docs/upgrade.md). They name
// their columns, so what is added does not disturb them if it needs nothing of them. What they name must stay, and what they write must
// be taken.

// brokeAnyway are what the lint below refuses, and came before the first version that is upgraded without an interruption. It takes no more,
// unless the reason tells why no process of the version before is disturbed.
var brokeAnyway = map[string]map[string]string{
	"00006_workers.sql": {
		"destinations: a unique index on what the version before writes": "that version makes one for each account, with the account",
	},
}

var (
	uniqueIndex = regexp.MustCompile(`(?i)^CREATE UNIQUE INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?(\w+) ON (?:ONLY )?(\w+)(.*)$`)
	anyIndex    = regexp.MustCompile(`(?i)^DROP INDEX (?:CONCURRENTLY )?(?:IF EXISTS )?(\w+)`)
	goneTable   = regexp.MustCompile(`(?i)^DROP (?:TABLE|VIEW) (?:IF EXISTS )?(\w+)`)
	madeTrigger = regexp.MustCompile(`(?i)^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER (?:IF NOT EXISTS )?\w+ (BEFORE|INSTEAD OF)\b.*? ON (\w+)`)
	addsColumn  = regexp.MustCompile(`(?i)\bADD (?:COLUMN )?(?:IF NOT EXISTS )?(\w+)`)
	gone        = regexp.MustCompile(`(?i)\bDROP (?:COLUMN )?(?:IF EXISTS )?(\w+)`)
	goneDefault = regexp.MustCompile(`(?i)\bDROP DEFAULT\b`)
	renamed     = regexp.MustCompile(`(?i)\bRENAME\b|\bSET SCHEMA\b`)
	retyped     = regexp.MustCompile(`(?i)\bALTER (?:COLUMN )?\w+ (?:SET DATA )?TYPE\b`)
	notNull     = regexp.MustCompile(`(?i)\bSET NOT NULL\b`)
)

// disturbs tells what a migration of either dialect takes from, or asks of, processes that do not know it. unique are the unique indexes
// that are there; those that it makes are added.
func disturbs(text string, unique map[string]bool) (faults []string) {
	up, _, _ := strings.Cut(text, "-- +goose Down")
	up = sqlComment.ReplaceAllString(up, "")
	made, added := map[string]bool{}, map[string]bool{}
	for _, m := range madeTable.FindAllStringSubmatch(up, -1) {
		made[m[1]] = true
	}
	for _, statement := range statementsOf(up) {
		fault := func(table, what string) {
			if !made[table] {
				faults = append(faults, table+": "+what)
			}
		}
		if m := goneTable.FindStringSubmatch(statement); m != nil {
			fault(m[1], "dropped")
		}
		if m := anyIndex.FindStringSubmatch(statement); m != nil && unique[m[1]] {
			faults = append(faults, m[1]+": a unique index dropped, on which ON CONFLICT of the version before may rely")
		}
		if m := uniqueIndex.FindStringSubmatch(statement); m != nil {
			_, where, _ := strings.Cut(strings.ToUpper(m[3]), " WHERE ")
			news := false // rows of the version before have the new column's default, which the index leaves out
			for column := range added {
				news = news || strings.Contains(where, strings.ToUpper(strings.TrimPrefix(column, m[2]+".")))
			}
			if !news && !unique[m[1]] {
				fault(m[2], "a unique index on what the version before writes")
			}
			unique[m[1]] = true
		}
		if m := madeTrigger.FindStringSubmatch(statement); m != nil {
			fault(m[2], "a trigger that may refuse what the version before writes")
		}
		if m := alterTable.FindStringSubmatch(statement); m != nil {
			if column := addsColumn.FindStringSubmatch(m[2]); column != nil && !constrained.MatchString(m[2]) {
				added[m[1]+"."+column[1]] = true
			}
			for _, what := range disturbance(m[2]) {
				fault(m[1], what)
			}
		}
	}
	return faults
}

// disturbance is what an action of ALTER TABLE does to those who do not know it.
func disturbance(action string) (all []string) {
	adds := addsColumn.MatchString(action) && !constrained.MatchString(action)
	for what, is := range map[string]bool{
		"renamed":                                        renamed.MatchString(action),
		"a column of another type":                       retyped.MatchString(action),
		"a column that is NOT NULL":                      notNull.MatchString(action),
		"a column without a default":                     goneDefault.MatchString(action),
		"a column dropped":                               dropsColumn(action),
		"a constraint on what the version before writes": constrained.MatchString(action),
		"a column that the version before does not fill": adds && strings.Contains(strings.ToUpper(action), "NOT NULL") && !hasDefault.MatchString(action),
	} {
		if is {
			all = append(all, what)
		}
	}
	return all
}

// dropsColumn tells whether anything is dropped that is no bound of a column.
func dropsColumn(action string) bool {
	return slices.ContainsFunc(gone.FindAllStringSubmatch(action, -1), func(m []string) bool {
		return !slices.Contains([]string{"CONSTRAINT", "NOT", "DEFAULT", "IDENTITY", "EXPRESSION"}, strings.ToUpper(m[1]))
	})
}

func TestTheVersionBeforeWorksOnTheTablesOfEachMigration(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"postgres", "sqlite"} {
		names, err := fs.Glob(migrations, "migrations/"+dialect+"/*.sql")
		if err != nil || len(names) < 15 {
			t.Fatalf("%d migrations, %v", len(names), err)
		}
		slices.Sort(names)
		unique := map[string]bool{}
		for _, name := range names {
			text, err := migrations.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file := name[strings.LastIndex(name, "/")+1:]
			for _, fault := range disturbs(string(text), unique) {
				if brokeAnyway[file][fault] == "" {
					t.Errorf("%s of %s: %s", file, dialect, fault)
				}
			}
		}
	}
}

func TestTheLintOfCompatibilityFinds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"DROP TABLE workers;":                                                                                              "workers: dropped",
		"DROP TABLE IF EXISTS workers;":                                                                                    "workers: dropped",
		"CREATE TABLE jobs_new (a text); DROP TABLE jobs;":                                                                 "jobs: dropped",
		"ALTER TABLE jobs RENAME TO runs;":                                                                                 "jobs: renamed",
		"ALTER TABLE jobs RENAME COLUMN worker TO host;":                                                                   "jobs: renamed",
		"ALTER TABLE jobs RENAME worker TO host;":                                                                          "jobs: renamed",
		"ALTER TABLE jobs DROP COLUMN worker;":                                                                             "a column dropped",
		"ALTER TABLE jobs DROP COLUMN IF EXISTS worker;":                                                                   "a column dropped",
		"ALTER TABLE jobs DROP worker;":                                                                                    "a column dropped",
		"ALTER TABLE jobs ALTER COLUMN attempt TYPE integer;":                                                              "of another type",
		"ALTER TABLE users ALTER email SET NOT NULL;":                                                                      "a column that is NOT NULL",
		"ALTER TABLE users ALTER COLUMN email DROP DEFAULT;":                                                               "without a default",
		"ALTER TABLE users ADD COLUMN x text NOT NULL;":                                                                    "does not fill",
		"ALTER TABLE users ADD CONSTRAINT x CHECK (email <> '') NOT VALID;":                                                "a constraint on",
		"ALTER TABLE users ADD FOREIGN KEY (a) REFERENCES b (id) NOT VALID;":                                               "a constraint on",
		"CREATE UNIQUE INDEX x ON users (email);":                                                                          "a unique index on",
		"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS x\n    ON users (email);":                                          "a unique index on",
		"CREATE UNIQUE INDEX x ON users (email) WHERE email <> '';":                                                        "a unique index on",
		"DROP INDEX there;":                                                                                                "may rely",
		"DROP INDEX CONCURRENTLY IF EXISTS there;":                                                                         "may rely",
		"CREATE TRIGGER x BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f();":                                       "may refuse",
		"CREATE TRIGGER x BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'no'); END;":                                    "may refuse",
		"DO $$\nBEGIN\n    ALTER TABLE jobs DROP COLUMN worker;\nEND\n$$;":                                                 "a column dropped",
		"ALTER TABLE users ADD COLUMN x text NOT NULL DEFAULT '';":                                                         "",
		"ALTER TABLE users ADD COLUMN IF NOT EXISTS x bigint;":                                                             "",
		"ALTER TABLE users ADD COLUMN x integer NOT NULL DEFAULT 0 CHECK (x IN (0, 1));":                                   "",
		"ALTER TABLE users DROP CONSTRAINT x;":                                                                             "",
		"ALTER TABLE users DROP CONSTRAINT x, DROP COLUMN email;":                                                          "a column dropped",
		"ALTER TABLE users ALTER COLUMN email DROP NOT NULL;":                                                              "",
		"CREATE TABLE x (a text); CREATE UNIQUE INDEX y ON x (a);":                                                         "",
		"CREATE TABLE x (a text); ALTER TABLE x ADD CONSTRAINT y UNIQUE (a);":                                              "",
		"ALTER TABLE users ADD COLUMN sso text NOT NULL DEFAULT ''; CREATE UNIQUE INDEX x ON users (sso) WHERE sso <> '';": "",
		"DROP INDEX other; CREATE INDEX other ON users (email);":                                                           "",
		"CREATE TRIGGER x AFTER UPDATE OF email ON users BEGIN SELECT 1; END;":                                             "",
		"SELECT 1;\n-- +goose Down\nDROP TABLE users; ALTER TABLE jobs DROP COLUMN worker;":                                "",
	} {
		got := strings.Join(disturbs("-- +goose Up\n"+text, map[string]bool{"there": true}), ", ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
