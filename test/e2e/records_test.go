package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// example is one of the programs of docs/packages.md that tell what happens: the first of a language does it by hand, the second
// with the module.
func example(t *testing.T, language string, number int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "packages.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Telling what happens\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/packages.md has %d examples in %s", len(blocks), language)
	}
	return blocks[number][1]
}

// counts compares the counters of a job or a family's totals.
func counts(t *testing.T, what string, o object, want map[string]int) {
	t.Helper()
	for name, n := range want {
		expect(t, what+": "+name, o.text(name), n)
	}
}

// mend replaces the data of a record.
func (c *client) mend(t *testing.T, id, record string) {
	t.Helper()
	c.do(t, http.StatusOK, http.MethodPut, "/api/jobs/"+id+"/errors/"+record+"/data", object{"data": object{"id": record, "amount": 5}})
}

// openErrors lists the ids of the open record errors of a job.
func (c *client) openErrors(t *testing.T, id string) (records []string) {
	t.Helper()
	for _, e := range c.get(t, "/api/jobs/"+id+"/errors?resolved=false&size=1000").items() {
		records = append(records, e.text("recordId"))
	}
	return records
}

func (c *client) retryRecords(t *testing.T, id string) string {
	t.Helper()
	return c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobs/"+id+"/retry", object{"scope": "failed_records"}).object(t).text("id")
}

// TestRecordsThroughTwoRetries runs the examples of the documentation: a hundred records of which seven fail. Six are
// mended and retried, the seventh fails once more and is mended on the retry; in the end nothing is open.
func TestRecordsThroughTwoRetries(t *testing.T) {
	t.Parallel()
	for language, x := range map[string]struct{ key, tool string }{"python": {"main.py", "python3"}, "js": {"main.js", "node"}, "sh": {"main.sh", "sh"}} {
		for number, how := range []string{"by hand", "with the module"} {
			t.Run(language+" "+how, func(t *testing.T) {
				t.Parallel()
				if _, err := exec.LookPath(x.tool); err != nil {
					t.Skip(x.tool + " is not installed")
				}
				c := sharedProgram(t).admin(t)
				config := c.configure(t, unique("records"), setup{key: x.key, content: []byte(example(t, language, number)), entry: x.key})
				parent := c.submit(t, config).text("id")
				j := c.finish(t, parent, 2*time.Minute)
				expect(t, "status", j.text("status"), "FINISHED")
				counts(t, "parent", j, map[string]int{"recordsRead": 100, "recordsWritten": 93, "recordsFailed": 7, "errorsOpen": 7, "errorsResolved": 0})
				expect(t, "warnings", j["warnings"], nil)
				c.hasSteps(t, parent)

				open := c.openErrors(t, parent)
				expect(t, "open", open, "[14 28 42 56 70 84 98]")
				for _, record := range open[1:] {
					c.mend(t, parent, record)
				}
				first := c.retryRecords(t, parent)
				expect(t, "the retry", c.finish(t, first, 2*time.Minute).text("status"), "FINISHED")
				c.settled(t, parent, 0, 7)
				counts(t, "retry", c.get(t, "/api/jobs/"+first), map[string]int{"recordsRead": 7, "recordsWritten": 6, "errorsOpen": 1})
				expect(t, "open on the retry", c.openErrors(t, first), "[14]")
				c.do(t, http.StatusConflict, http.MethodPost, "/api/jobs/"+parent+"/retry", object{"scope": "failed_records"})

				c.mend(t, first, "14")
				second := c.retryRecords(t, first)
				c.finish(t, second, 2*time.Minute)
				c.settled(t, first, 0, 1)
				family := c.get(t, "/api/jobs/"+parent+"/family")
				expect(t, "outcome", family.text("outcome"), "FINISHED")
				counts(t, "family", family, map[string]int{"totals.recordsRead": 108, "totals.errorsOpen": 0, "totals.errorsResolved": 8})
			})
		}
	}
}

func (c *client) hasSteps(t *testing.T, id string) {
	t.Helper()
	var names []string
	for _, s := range c.get(t, "/api/jobs/"+id+"/steps").items() {
		names = append(names, s.text("name")+" "+s.text("status"))
	}
	expect(t, "steps", names, "[extract FINISHED load FINISHED report FINISHED]")
}

// settled waits for a roll-up to be booked.
func (c *client) settled(t *testing.T, id string, open, resolved int) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		j := c.get(t, "/api/jobs/"+id)
		if j.text("errorsOpen") != fmt.Sprint(open) || j.text("errorsResolved") != fmt.Sprint(resolved) {
			return fmt.Errorf("job %s has %s open and %s resolved errors, want %d and %d", id, j.text("errorsOpen"), j.text("errorsResolved"), open, resolved)
		}
		return nil
	})
}

// TestRollUpSurvivesAKill kills the program the moment a retry of records has ended, several times, and once while one runs:
// each roll-up must be there after the next start, once.
func TestRollUpSurvivesAKill(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t)}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	// Each retry brings one record through and raises the others again; the second one hangs until it is killed.
	config := p.admin(t).configure(t, "kill", script(`
tell() { printf '%s\n' "$1" >>"$WAYBILL_EVENTS"; }
if [ -z "$WAYBILL_RETRY_FILE" ]; then
  for n in 1 2 3 4; do tell '{"type":"error","recordId":'$n',"data":'$n'}'; done
  exit 3
fi
sed 1d "$WAYBILL_RETRY_FILE" | sed 's/^{/{"type":"error",/' >>"$WAYBILL_EVENTS"
tell '{"type":"counters","step":"main","written":1}'
[ "$(wc -l <"$WAYBILL_RETRY_FILE")" -ne 3 ] || [ "$WAYBILL_ATTEMPT" -gt 1 ] || sleep 600`))
	chain := []string{p.admin(t).submit(t, config).text("id")}
	p.admin(t).finish(t, chain[0], time.Minute)
	for open := 4; open > 0; open-- {
		c := p.admin(t)
		last := chain[len(chain)-1]
		expect(t, "open", len(c.openErrors(t, last)), open)
		retry := c.retryRecords(t, last)
		chain = append(chain, retry)
		if open == 3 { // it hangs: its reports of the first attempt must not count
			eventually(t, time.Minute, func() error {
				if n := c.get(t, "/api/jobs/"+retry).text("errorsOpen"); n != "2" {
					return fmt.Errorf("%s errors are reported", n)
				}
				return nil
			})
		} else {
			c.finish(t, retry, time.Minute)
		}
		p.kill(t)
		if p, err = launch(o); err != nil {
			t.Fatal(err)
		}
		c = p.admin(t)
		j := c.finish(t, retry, 2*time.Minute)
		expect(t, "status", j.text("status"), "FINISHED")
		counts(t, "retry", j, map[string]int{"recordsWritten": 1, "errorsOpen": open - 1, "errorsResolved": 0})
		c.settled(t, last, 0, open)
	}
	family := p.admin(t).get(t, "/api/jobs/"+chain[0]+"/family")
	expect(t, "outcome", family.text("outcome"), "FINISHED")
	counts(t, "family", family, map[string]int{"totals.recordsWritten": 4, "totals.errorsOpen": 0, "totals.errorsResolved": 10})
}

// TestAttemptsAndTheirLogs lets a program fail twice: it waits in between, and each attempt has its own part of the log.
func TestAttemptsAndTheirLogs(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).admin(t)
	s := script(`echo "this is attempt $WAYBILL_ATTEMPT"; [ "$WAYBILL_ATTEMPT" -gt 2 ] || exit $((6 + WAYBILL_ATTEMPT))`)
	s.config = object{"retryPolicy": object{
		"maximumAttempts": 5, "initialInterval": "1500ms", "backoffCoefficient": 1, "maximumInterval": "2s", "nonRetryableExitCodes": []int{9},
	}}
	config := c.configure(t, unique("attempts"), s)
	policy, _ := c.get(t, "/api/jobconfigs/"+config)["retryPolicy"].(map[string]any)
	expect(t, "policy", policy, map[string]any{
		"maximumAttempts": 5, "initialInterval": "1.5s", "backoffCoefficient": 1, "maximumInterval": "2s", "nonRetryableExitCodes": []any{9},
	})
	id := c.submit(t, config).text("id")
	waiting := c.reaches(t, id, "WAITING", time.Minute)
	if waiting.text("startAfter") == "" || waiting.text("returnCode") == "" {
		t.Errorf("a job that waits does not say until when, or why: %v", waiting)
	}
	expect(t, "status", c.finish(t, id, time.Minute).text("status"), "FINISHED")
	attempts := c.get(t, "/api/jobs/"+id+"/attempts").items()
	expect(t, "attempts", len(attempts), 3)
	whole := ""
	for i, a := range attempts {
		expect(t, "number", a.text("number"), i+1)
		expect(t, "code", a.text("returnCode"), []string{"7", "8", "0"}[i])
		log := string(c.do(t, http.StatusOK, http.MethodGet, fmt.Sprintf("/api/jobs/%s/attempts/%d/log", id, i+1), nil).body)
		whole += log
		expect(t, "bytes", a.text("log.bytes"), len(log))
		if !strings.Contains(log, fmt.Sprintf("this is attempt %d\n", i+1)) || strings.Count(log, "this is attempt") != 1 {
			t.Errorf("the log of attempt %d is %q", i+1, log)
		}
		if i > 0 && !strings.Contains(log, fmt.Sprintf("waybill: attempt %d begins on ", i+1)) {
			t.Errorf("the section of attempt %d has no head: %q", i+1, log)
		}
		part := c.do(t, http.StatusPartialContent, http.MethodGet, fmt.Sprintf("/api/jobs/%s/attempts/%d/log", id, i+1), nil, "Range", "bytes=-5")
		expect(t, "its end", string(part.body), log[len(log)-5:])
	}
	expect(t, "the whole log", c.log(t, id), whole)
}
