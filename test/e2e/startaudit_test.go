package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestTheFirstStartIsInTheAuditLog: it makes the tables, and the account and user that all others come from. The next one makes nothing.
func TestTheFirstStartIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t)}
	for range 2 {
		p := start(t, o)
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := execute(t, exec.Command(binary, "admin", "audit", "export", "--data", o.data))
	if code != 0 {
		t.Fatalf("admin audit export ends with %d: %s", code, errs)
	}
	var acts []string
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var e struct{ Action, Actor, Result string }
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(e.Actor, "cli:") || len(e.Actor) == len("cli:") {
			t.Errorf("%s is by %q", e.Action, e.Actor)
		}
		acts = append(acts, fmt.Sprint(e.Action, " ", e.Result))
	}
	if want := []string{"migrate.up ok", "account.create ok"}; !slices.Equal(acts, want) {
		t.Errorf("the audit log has %q, want %q:\n%s", acts, want, out)
	}
}
