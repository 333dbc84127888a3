package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowEnvironment is a package whose environment is built when the gate lets it: the install script of the project asks
// there, and then leaves a file without which the program fails.
func slowEnvironment(t *testing.T, gate string) setup {
	t.Helper()
	members := npmMembers(t)
	for i, m := range members {
		switch m.name {
		case "package.json":
			members[i].text = strings.Replace(m.text, `"dependencies"`, `"scripts": {"install": "node slow.js"}, "dependencies"`, 1)
		case "main.js":
			members[i].text = `require("greet/whole");` + "\n" + m.text
		}
	}
	members = append(members, member{name: "slow.js", text: fmt.Sprintf(`const fs = require("fs");
fs.writeFileSync("node_modules/greet/half.js", "");
require("http").get(%q, { agent: false }, (answer) => {
  answer.resume();
  fs.writeFileSync("node_modules/greet/whole.js", "");
}).on("error", (e) => { console.log(e); process.exit(1); });
`, gate)})
	content, err := zipOf(members...)
	if err != nil {
		t.Fatal(err)
	}
	return setup{key: "p.zip", content: content, entry: "main.js", runtime: object{
		"macros": []object{{"key": "WHO", "value": "world"}, {"key": "EXIT", "value": "0"}},
	}}
}

// TestCrashWhileBuilding kills the program in the middle of building an environment, with several jobs waiting for it. The
// next program builds it anew, once, and all jobs end well.
func TestCrashWhileBuilding(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"node", "npm"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("%s is not installed", need)
		}
	}
	const jobs = 4
	var asked atomic.Int32
	over := make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			select { // the first build never gets any further
			case <-over:
			case <-r.Context().Done():
			}
		}
	}))
	defer gate.Close()
	defer close(over)
	o := options{data: folder(t), args: []string{"--worker-loss", "3s"}}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { p.kill(t) })
	t.Cleanup(kill)
	c := p.admin(t)
	config := c.configure(t, "building", slowEnvironment(t, gate.URL))
	var ids []string
	for range jobs {
		ids = append(ids, c.submit(t, config).text("id"))
	}
	eventually(t, 2*time.Minute, func() error {
		for _, id := range ids {
			if j := c.get(t, "/api/jobs/"+id); ended(j.text("status")) {
				return final(fmt.Errorf("job %s is %v, its log is\n%s", id, j, c.log(t, id)))
			}
		}
		if asked.Load() == 0 {
			return fmt.Errorf("the build has not come to the gate")
		}
		return nil
	})
	kill()
	if whole, half := environmentsIn(t, o.data); len(whole) != 0 || len(half) != 1 {
		t.Fatalf("it was killed with environments %v and, half-built, %v", whole, half)
	}
	p = start(t, o)
	c = p.admin(t)
	for _, id := range ids {
		j := c.finish(t, id, 5*time.Minute)
		if j.text("status") != "FINISHED" || !strings.Contains(c.log(t, id), "hello world from node") {
			t.Errorf("job %s ends as %v, its log is\n%s", id, j, c.log(t, id))
		}
	}
	expect(t, "builds that came to the gate", asked.Load(), 2)
	eventually(t, time.Minute, func() error {
		if whole, half := environmentsIn(t, o.data); len(whole) != 1 || len(half) != 0 {
			return fmt.Errorf("there are environments %v and, half-built, %v", whole, half)
		}
		return nil
	})
}

// environmentsIn lists the environments below a data folder.
func environmentsIn(t *testing.T, data string) (whole, half []string) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(data, "work", "environments", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range folders {
		if _, err := os.Stat(filepath.Join(dir, "environment.json")); err == nil {
			whole = append(whole, filepath.Base(dir))
		} else {
			half = append(half, filepath.Base(dir))
		}
	}
	return whole, half
}
