package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryKindOfProgram runs each kind of package and entry point that there is.
func TestEveryKindOfProgram(t *testing.T) {
	t.Parallel()
	const report = `echo "hello $WHO from $JOB_ID, attempt $WAYBILL_ATTEMPT"; echo oops >&2; cat data/in.txt; ` +
		`test -d "$LOCAL_JOB_SPEC_DIR"; echo "$WHO" > "$LOCAL_JOB_OUT_DIR/result.txt"`
	const python = "import os\nprint('hello', os.environ['WHO'], 'from', os.environ['JOB_ID'])\n" +
		"open(os.path.join(os.environ['LOCAL_JOB_OUT_DIR'], 'result.txt'), 'w').write(os.environ['WHO'] + '\\n')\n"
	const node = "console.log('hello ' + process.env.WHO + ' from ' + process.env.JOB_ID)\n" +
		"require('fs').writeFileSync(process.env.LOCAL_JOB_OUT_DIR + '/result.txt', process.env.WHO + '\\n')\n"
	data := member{name: "data/in.txt", text: "from the package\n"}
	kinds := []struct {
		name, key, entry string
		members          []member
		needs            string // an interpreter
		silent           bool   // it can not greet
	}{
		{name: "shell in a zip", key: "p.zip", entry: "run.sh", members: []member{{name: "run.sh", text: report}, data}},
		{name: "shell in a djar", key: "p.djar", entry: "run.sh", members: []member{{name: "run.sh", text: report}, data}},
		{name: "shell in a jar below a folder", key: "p.jar", entry: `proj\run.sh`,
			members: []member{{name: "proj/run.sh", text: "#!/bin/sh\n" + report}, data}},
		{name: "shell with its project folder left out", key: "p.zip", entry: "run.sh",
			members: []member{{name: "proj/run.sh", text: report}, {name: "proj/" + data.name, text: data.text}}},
		{name: "shell in a tar", key: "p.tar.gz", entry: "run.sh", members: []member{{name: "run.sh", text: report}, data}},
		{name: "python", key: "p.zip", entry: "main.py", members: []member{{name: "main.py", text: python}}, needs: "python3"},
		{name: "node", key: "p.zip", entry: "main.js", members: []member{{name: "main.js", text: node}}, needs: "node"},
		{name: "process with a shebang", key: "p.djar", entry: "integrate.process",
			members: []member{{name: "integrate.process", text: "#!/bin/sh\n" + report}, data}},
		{name: "process found by the manifest", key: "p.djar", entry: "",
			members: []member{{name: "META-INF/MANIFEST.MF", text: "Manifest-Version: 1.0\nMain-Process: proj\\integrate.process\n"},
				{name: "proj/integrate.process", text: "#!/bin/sh\n" + report}, data}},
		{name: "single shell script", key: "run.sh", entry: "run.sh", members: []member{{text: strings.Replace(report, "cat data/in.txt;", "", 1)}}},
		{name: "single python file", key: "main.py", entry: "main.py", members: []member{{text: python}}, needs: "python3"},
		{name: "native executable", key: "true", entry: "true", silent: true},
		{name: "native executable in a zip", key: "p.zip", entry: "bin/true", silent: true},
	}
	c := sharedProgram(t).tenant(t, "kinds")
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			if k.needs != "" {
				if _, err := exec.LookPath(k.needs); err != nil {
					t.Skipf("%s is not installed", k.needs)
				}
			}
			s := setup{key: k.key, entry: k.entry, runtime: object{"macros": []object{{"key": "WHO", "value": "world"}}}}
			var err error
			switch {
			case k.silent:
				s.content, err = nativeProgram()
				if err == nil && k.key != "true" {
					s.content, err = zipOf(member{name: "bin/true", text: string(s.content)})
				}
			case !slices.ContainsFunc(k.members, func(m member) bool { return m.name != "" }):
				s.content = []byte(k.members[0].text)
			case k.key == "p.tar.gz":
				s.content, err = tarOf(k.members...)
			default:
				s.content, err = zipOf(k.members...)
			}
			if err != nil {
				t.Fatal(err)
			}
			job := c.submit(t, c.configure(t, unique(k.name), s)).text("id")
			j := c.finish(t, job, time.Minute)
			log := c.log(t, job)
			if j.text("status") != "FINISHED" || j.text("returnCode") != "0" {
				t.Fatalf("the job ends as %v, its log is\n%s", j, log)
			}
			if k.silent {
				return
			}
			if !strings.Contains(log, "hello world from "+job) {
				t.Errorf("the log does not greet:\n%s", log)
			}
			expect(t, "the result", c.output(t, job, "result.txt"), "world\n")
		})
	}
}

// nativeProgram is a small executable of this machine.
func nativeProgram() ([]byte, error) {
	path, err := exec.LookPath("true")
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// TestEndings are the ways in which programs end badly.
func TestEndings(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "endings")
	for name, k := range map[string]struct {
		setup                setup
		status, reason, code string
	}{
		"an exit code":             {script("exit 42"), "ERROR", "error", "42"},
		"a signal":                 {script("kill -9 $$"), "ERROR", "error", "137"},
		"what can not be run":      {setup{key: "notes.txt", content: []byte("just a text\n"), entry: "notes.txt"}, "FAILED", "invalid_package", ""},
		"a missing interpreter":    {setup{key: "main.x", content: []byte("#!/no/such/interpreter\n"), entry: "main.x"}, "FAILED", "invalid_package", ""},
		"an unknown entry point":   {setup{key: "a.sh", content: []byte("#!/bin/sh\n"), entry: "b.sh"}, "FAILED", "invalid_package", ""},
		"a child that outlives it": {script("sleep 600 & echo gone"), "FINISHED", "", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := c.configure(t, unique(name), k.setup)
			j := c.do(t, http.StatusOK, http.MethodPost, "/api/jobconfigs/"+config+"/jobs?wait=60s", nil).object(t)
			expect(t, "the status", j.text("status"), k.status)
			expect(t, "the reason", j.text("reason"), k.reason)
			if k.code != "" {
				expect(t, "the return code", j.text("returnCode"), k.code)
			}
			c.log(t, j.text("id")) // every job that a worker had has a log
			noProcess(t, j.text("id"))
		})
	}
}
