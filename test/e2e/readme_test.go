package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeTour runs the commands of the README's tour as they are printed, but for the addresses of this program.
func TestReadmeTour(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the README has no block of commands")
	}
	tour := string(block[1])
	replace := func(old, with string) {
		t.Helper()
		if !strings.Contains(tour, old) {
			t.Fatalf("the tour has no %s:\n%s", old, tour)
		}
		tour = strings.ReplaceAll(tour, old, with)
	}
	p := start(t, options{data: folder(t), random: true})
	replace("http://127.0.0.1:8080", p.run.URL)
	replace("waybill-data", p.data)
	// A person reads the job's id off the reply; here the shell does.
	replace("/JOB_ID", "/$(job)")
	replace("job-JOB_ID", "job-$(job)")
	if cli := temporalCLI(t); cli != "" {
		replace("temporal workflow describe", fmt.Sprintf("%q workflow describe --address %s", cli, p.run.TemporalAddress))
	} else {
		tour = regexp.MustCompile(`(?m)^TEMPORAL_API_KEY=.*$`).ReplaceAllString(tour, "")
	}
	tour = "set -e\njob() { curl -s \"$api/jobs?jobconfigid=$id\" -H \"$auth\" | grep -o '[0-9a-f]\\{24\\}' | head -n 1; }\n" + tour
	cmd := exec.Command("sh", "-c", tour)
	cmd.Dir, cmd.Env = t.TempDir(), append(environment(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	code, out, errs := execute(t, cmd)
	if code != 0 {
		t.Fatalf("the tour ends with %d: %s\n%s", code, out, errs)
	}
	for _, part := range []string{`"status":"FINISHED"`, "hello world from job ", "\ndone\n"} {
		if !strings.Contains(out, part) {
			t.Errorf("the tour does not show %q:\n%s\n%s", part, out, errs)
		}
	}
}
