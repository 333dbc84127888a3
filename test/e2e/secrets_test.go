package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSecureMacros looks for a secret everywhere but in the program it is for.
func TestSecureMacros(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-Value-0815"
	p := sharedProgram(t)
	c := p.tenant(t, "secrets")
	s := script(`echo "token is $TOKEN"; [ "$TOKEN" = "` + secret[:6] + `""` + secret[6:] + `" ] && echo "token is right"; echo "$JOB_ID"`)
	s.runtime = object{"macros": []object{{"key": "TOKEN", "value": secret, "secure": true}, {"key": "PLAIN", "value": "seen"}}}
	config := c.configure(t, "secure", s)
	absent := func(what string, text string) {
		t.Helper()
		if strings.Contains(text, secret) {
			t.Errorf("%s holds the secret", what)
		}
	}
	shown := c.get(t, "/api/jobconfigs/"+config)
	absent("the config", fmt.Sprint(shown))
	macros, _ := shown["runtimeConfig"].(map[string]any)["macros"].([]any)
	if len(macros) != 2 {
		t.Fatalf("the config has the macros %v", macros)
	}
	// What was read is put back without the value, which keeps it.
	c.do(t, http.StatusOK, http.MethodPut, "/api/jobconfigs/"+config, shown)
	absent("the list", string(c.do(t, http.StatusOK, http.MethodGet, "/api/jobconfigs", nil).body))

	job := c.submit(t, config).text("id")
	j := c.finish(t, job, time.Minute)
	expect(t, "the status", j.text("status"), "FINISHED")
	absent("the job", fmt.Sprint(j))
	absent("the list of jobs", string(c.do(t, http.StatusOK, http.MethodGet, "/api/jobs", nil).body))
	log := c.log(t, job)
	absent("the log", log)
	if !strings.Contains(log, "token is right") || !strings.Contains(log, "token is *") {
		t.Errorf("the log is not masked, or the program did not get the secret:\n%s", log)
	}
	events := string(c.do(t, http.StatusOK, http.MethodGet, "/api/jobs/"+job+"/events", nil).body)
	absent("the events", events)
	if !strings.Contains(events, "token is") {
		t.Errorf("the events hold no log:\n%s", events)
	}
	absent("the server's log", p.stderr.String())
	history := workflowHistory(t, p, "job-"+job)
	if !strings.Contains(history, job) {
		t.Fatalf("that is no history of the job: %s", history)
	}
	absent("the workflow's history", history)
}

// base64Kinds are the ways in which payloads are written down.
var base64Kinds = []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding}

// decodePayloads gives what is in the base64 strings of a JSON text.
func decodePayloads(text string) string {
	v, err := parse(text)
	if err != nil {
		return ""
	}
	var b strings.Builder
	walkTexts(v, func(s string) {
		for _, enc := range base64Kinds {
			if plain, err := enc.DecodeString(s); err == nil {
				b.Write(plain)
				b.WriteByte('\n')
			}
		}
	})
	return b.String()
}

func walkTexts(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, one := range v {
			walkTexts(one, visit)
		}
	case map[string]any:
		for _, one := range v {
			walkTexts(one, visit)
		}
	}
}
