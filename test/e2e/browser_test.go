package e2e

import (
	"context"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// browser finds a Chromium, or skips: how a page looks after its scripts ran can not be told without one.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium on this machine; on Debian: apt-get install chromium")
	return ""
}

// rendered opens a page and gives its document once the scripts have run.
func rendered(t *testing.T, path, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// --no-sandbox: Chromium refuses to run as root otherwise, as it does in most build machines. The only page it opens is
	// ours.
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=20000", "--dump-dom", url)
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(dom)
}

func TestDocsPageShowsTheOperationsInABrowserWithoutTheInternet(t *testing.T) {
	t.Parallel()
	path, p := browser(t), sharedProgram(t)
	dom := rendered(t, path, p.run.URL+"/docs")
	for _, part := range []string{`data-path="/jobconfigs/{id}/jobs"`, `data-path="/login"`, `data-path="/jobs/{id}/events"`} {
		if !strings.Contains(dom, part) {
			t.Errorf("the page does not show %s; it has %d bytes", part, len(dom))
		}
	}
}

func TestTemporalWebUIRendersInABrowser(t *testing.T) {
	t.Parallel()
	path, p := browser(t), sharedProgram(t)
	dom := rendered(t, path, strings.Replace(p.run.TemporalUI, "//", "//"+p.run.AdminUser+":"+url.PathEscape(adminPassword)+"@", 1)+"/namespaces/"+p.run.TemporalNamespace+"/workflows")
	if !strings.Contains(dom, "Workflow") {
		t.Errorf("the page shows no workflows; it has %d bytes", len(dom))
	}
}
