package sqlstore

import "testing"

func TestASummaryNamesWhatIsDoneToWhich(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string][2]string{
		"SELECT id, name FROM jobs WHERE id = ?":                {"SELECT", "jobs"},
		"select * from \"users\" where name = ?":                {"SELECT", "users"},
		"INSERT INTO job_events (a) VALUES (?) RETURNING id":    {"INSERT", "job_events"},
		"UPDATE jobs SET status = ? WHERE id = ?":               {"UPDATE", "jobs"},
		"DELETE FROM tokens WHERE id IN (SELECT id FROM other)": {"DELETE", "tokens"},
		"WITH x AS (SELECT 1 FROM (SELECT 2)) SELECT 1":         {"WITH", ""},
		"PRAGMA optimize": {"PRAGMA", ""},
		"":                {"", ""},
		"SELECT FROM":     {"SELECT", ""},
	} {
		if operation, table := summary(statement); operation != want[0] || table != want[1] {
			t.Errorf("%q is %q on %q, want %q on %q", statement, operation, table, want[0], want[1])
		}
	}
}
