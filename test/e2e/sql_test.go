package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestSQL runs one script on SQLite and on PostgreSQL: a macro as a value, the result in the log and as a file. Another, whose
// second statement fails, changes nothing.
func TestSQL(t *testing.T) {
	t.Parallel()
	const script = `CREATE TEMPORARY TABLE greetings (who TEXT NOT NULL);
INSERT INTO greetings (who) VALUES (:WHO), ('moon');
-- waybill: csv=result.csv
SELECT 'hello ' || who AS greeting FROM greetings ORDER BY who DESC;
SELECT COUNT(*) AS "how many" FROM greetings;
`
	content, err := zipOf(member{name: "good.sql", text: script}, member{name: "bad.sql", text: "SELECT 1;\nSELECT nothing FROM nowhere;\n"})
	if err != nil {
		t.Fatal(err)
	}
	c := sharedProgram(t).tenant(t, "sql")
	for name, url := range map[string]string{"sqlite": "sqlite:$(LOCAL_JOB_OUT_DIR)/greetings.db", "postgresql": os.Getenv("WAYBILL_TEST_POSTGRES")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if url == "" {
				t.Skip("WAYBILL_TEST_POSTGRES is not set (test/bin/with-postgres)")
			}
			run := func(entry string) (object, string) {
				config := c.configure(t, unique(name), setup{key: "p.zip", content: content, entry: entry, runtime: object{
					"macros": []object{{"key": "DATABASE_URL", "value": url}, {"key": "WHO", "value": "world'; DROP TABLE greetings; --"}},
				}})
				id := c.submit(t, config).text("id")
				return c.finish(t, id, time.Minute), c.log(t, id)
			}
			j, log := run("good.sql")
			if j.text("status") != "FINISHED" || j.text("returnCode") != "0" {
				t.Fatalf("the job ends as %v, its log is\n%s", j, log)
			}
			if !strings.Contains(log, "how many") {
				t.Errorf("the log does not have the result:\n%s", log)
			}
			expect(t, "the file", c.output(t, j.text("id"), "result.csv"), "greeting\nhello world'; DROP TABLE greetings; --\nhello moon\n")
			j, log = run("bad.sql")
			if j.text("status") != "ERROR" || j.text("returnCode") != "1" || !strings.Contains(log, "nowhere") || !strings.Contains(log, "2") {
				t.Errorf("the script that fails ends as %v, its log is\n%s", j, log)
			}
		})
	}
}
