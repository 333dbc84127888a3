package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExamples makes each package below examples that has a waybill.yaml, with its build.sh and the commands an author would
// use, and runs it.
func TestExamples(t *testing.T) {
	t.Parallel()
	needs := map[string][]string{
		"shell": nil, "python": {"python3"}, "node": {"node"}, "java": {"java", "javac", "jar"}, "native": {"go"}, "wasm": {"go"}, "sql": nil,
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "*", "waybill.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no examples: %v", err)
	}
	c := sharedProgram(t).tenant(t, "examples")
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tools, known := needs[name]
			if !known {
				t.Fatalf("the test does not know what the example %s needs", name)
			}
			for _, tool := range tools {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skipf("%s is not installed", tool)
				}
			}
			runExample(t, c, name, filepath.Dir(file))
		})
	}
}

func runExample(t *testing.T, c *client, name, folder string) {
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "build.sh")); err == nil {
		build := exec.CommandContext(t.Context(), "/bin/sh", "build.sh")
		build.Dir = dir
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build.sh: %v\n%s", err, text)
		}
	}
	packed := filepath.Join(t.TempDir(), name+".djar")
	for _, args := range [][]string{{"package", "verify", dir}, {"package", "build", dir, "-o", packed}} {
		cmd := exec.Command(binary, args...)
		cmd.Env = environment()
		if code, out, errs := execute(t, cmd); code != 0 {
			t.Fatalf("waybill %s ends with %d: %s%s", strings.Join(args, " "), code, out, errs)
		}
	}
	config := c.configure(t, unique(name), setup{key: name + ".djar", content: []byte(readText(t, packed)), runtime: object{}})
	id := c.submit(t, config).text("id")
	j := c.finish(t, id, 5*time.Minute)
	log := c.log(t, id)
	if j.text("status") != "FINISHED" {
		t.Fatalf("the job ends as %v, its log is\n%s", j, log)
	}
	if name == "sql" {
		expect(t, "the totals", c.output(t, id, "totals.csv"), "customer,total\nacme,17\nblue,25\n")
		return
	}
	if want := "done: totals of 2 customers, 1 order refused"; !strings.Contains(log, want) {
		t.Errorf("the log does not tell %q:\n%s", want, log)
	}
	expect(t, "the totals", c.output(t, id, "totals.csv"), "acme,17\nblue,25\n")
	if name == "shell" || name == "python" || name == "node" { // they use the modules that come along
		expect(t, "orders read", j.text("recordsRead"), 5)
		expect(t, "orders refused", c.get(t, "/api/jobs/"+id+"/errors").items()[0].text("recordId"), 4)
	}
}
