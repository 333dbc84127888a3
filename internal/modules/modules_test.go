package modules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
	"waybill/internal/report"
)

// interpreter is something that runs programs of one language.
type interpreter struct {
	name string
	argv []string
}

// interpreters finds those that are installed. Of each language there must be one.
func interpreters(t *testing.T, language string) []interpreter {
	t.Helper()
	candidates := map[string][]interpreter{
		"shell":  {{"dash", []string{"dash"}}, {"bash", []string{"bash"}}, {"bash as sh", []string{"bash", "--posix"}}, {"busybox", []string{"busybox", "sh"}}, {"sh", []string{"/bin/sh"}}},
		"node":   {{"node", []string{"node"}}},
		"python": {{"python3", []string{"python3"}}},
	}[language]
	for minor := 8; minor < 16; minor++ { // 3.8 is the oldest that is promised
		if name := fmt.Sprintf("python3.%d", minor); language == "python" {
			candidates = append(candidates, interpreter{name, []string{name}})
		}
	}
	var found []interpreter
	for _, c := range candidates {
		args := append(slices.Clone(c.argv[1:]), "--version")
		if language == "shell" {
			args = append(slices.Clone(c.argv[1:]), "-c", "true")
		}
		if exec.CommandContext(t.Context(), c.argv[0], args...).Run() == nil { // a shim of a version manager may be there, and nothing behind it
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		t.Skipf("no %s is installed", language)
	}
	return found
}

// room is a job folder as the runner makes it.
type room struct {
	dir, events string
	env         []string
}

func newRoom(t *testing.T, vars ...string) room {
	t.Helper()
	dir := t.TempDir()
	r := room{dir: dir, events: filepath.Join(dir, "events.ndjson")}
	helpers := filepath.Join(dir, "helpers")
	if err := Lay(helpers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(helpers, 0o755); err != nil {
			t.Error(err)
		}
	})
	for _, part := range []string{"tmp", "out"} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(r.events, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	set := map[string]string{
		"PATH": os.Getenv("PATH"), "TMPDIR": filepath.Join(dir, "tmp"), "HOME": filepath.Join(dir, "tmp"), "WAYBILL_EVENTS": r.events,
		"LOCAL_JOB_OUT_DIR": filepath.Join(dir, "out"), "PYTHONDONTWRITEBYTECODE": "1",
	}
	for i := 0; i < len(vars); i += 2 {
		set[vars[i]] = vars[i+1]
	}
	Extend(set, helpers)
	for k, v := range set {
		r.env = append(r.env, k+"="+v)
	}
	return r
}

// run runs a program to its end and gives what it prints.
func (r room) run(t *testing.T, i interpreter, file, text string, args ...string) (string, int) {
	t.Helper()
	file = filepath.Join(r.dir, file)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), i.argv[0], append(append(slices.Clone(i.argv[1:]), file), args...)...)
	var out bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = r.env, filepath.Join(r.dir, "out"), &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// told is what Waybill makes of the events.
func (r room) told(t *testing.T) job.Report {
	t.Helper()
	f, err := os.Open(r.events)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := report.NewCollector(report.Config{
		Job: "69b9209b00000000000000c1", Now: time.Now,
		ReadFile: func(name string, limit int64) ([]byte, error) { return os.ReadFile(name) },
	})
	tail := report.NewTail(f)
	for more := true; more; {
		if more, err = tail.Read(c); err != nil {
			t.Fatal(err)
		}
	}
	tail.Last(c)
	return c.Take()
}

// shown writes a report down in short.
func shown(r job.Report) string {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "step %s %s read %d written %d failed %d ignored %d %q", s.Name, s.Status, s.RecordsRead, s.RecordsWritten, s.RecordsFailed, s.RecordsIgnored, s.Message)
		if s.ReturnCode != nil {
			fmt.Fprintf(&b, " code %d", *s.ReturnCode)
		}
		b.WriteString("\n")
	}
	for _, e := range r.Errors {
		fmt.Fprintf(&b, "error %s in %s %q %q %q %s\n", e.RecordID, e.Step, e.Code, e.Message, e.TraceKey, e.Data)
	}
	if p := r.Progress; p != nil {
		fmt.Fprintf(&b, "progress %s %d/%d\n", p.Step, p.Done, p.Total)
	}
	for _, m := range r.Messages {
		body := m.Body
		if len(body) > 100 {
			body = fmt.Sprint(len(body), " bytes")
		}
		fmt.Fprintf(&b, "message %s %q %v\n", m.Name, body, m.Properties)
	}
	for _, v := range r.Values {
		fmt.Fprintf(&b, "value %s %s\n", v.Name, v.Value)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning %s\n", w)
	}
	return b.String()
}

// tellAll is one program in three languages.
var tellAll = map[string]struct{ file, text string }{
	"python": {"all.py", `
import waybill
with waybill.step("extract") as step:
    step.counters(read=5, ignored=1)
    step.error("r0", data=None)
@waybill.step("transform")
def transform(n):
    return n + 1
assert transform(1) == 2
with waybill.step("load"):
    waybill.progress(3, 5)
    waybill.error(7, 422, "bad \"ü\"\n\t\\", data={"a": [1, "x"]}, trace_key="t")
    waybill.counters(written=4, failed=1)
waybill.message("reply", "line 1\n\"line\" 2 \\n ü\t\r\n", {"type": "text/plain", "a b": 'c"d'})
waybill.message("empty")
waybill.message("large", "é" * 200000)
waybill.output("text", 'a "b"')
waybill.output("json", {"a": [1, None]})
try:
    with waybill.step("last \"one\""):
        raise SystemExit(4)
except SystemExit:
    pass
`},
	"node": {"all.js", `
const waybill = require("waybill");
(async () => {
  waybill.step("extract", () => { waybill.counters({ read: 5, ignored: 1 }); waybill.error({ recordId: "r0" }); });
  if (waybill.step("transform", () => 2) !== 2) throw new Error("no result");
  const got = await waybill.step("load", async () => {
    waybill.progress(3, 5);
    await null;
    waybill.error({ recordId: 7, code: 422, message: 'bad "ü"\n\t\\', data: { a: [1, "x"] }, traceKey: "t" });
    waybill.counters({ written: 4, failed: 1 });
    return 3;
  });
  if (got !== 3) throw new Error("no result");
  waybill.message("reply", 'line 1\n"line" 2 \\n ü\t\r\n', { type: "text/plain", "a b": 'c"d' });
  waybill.message("empty");
  waybill.message("large", "é".repeat(200000));
  waybill.output("text", 'a "b"');
  waybill.output("json", { a: [1, null] });
  try {
    await waybill.step('last "one"', async () => { throw new Error("exit code 4"); });
  } catch (e) { if (e.message !== "exit code 4") throw e; }
  waybill.tell({ type: "step", name: 'last "one"', status: "failed", returnCode: 4, message: "exit code 4" });
})();
`},
	"shell": {"all.sh", `
set -eu
. "$WAYBILL_HELPERS/waybill.sh"
extract() { waybill_counters read=5 ignored=1; waybill_error id=r0; kept=1; }
waybill_step extract extract
[ "$kept" = 1 ]
waybill_step transform true
load() {
	waybill_progress 3 5
	waybill_error id=7 code=422 message="bad \"ü\"
	\\" data='{"a":[1,"x"]}' trace=t
	waybill_counters written=4 failed=1
}
waybill_step load load
cr=$(printf '\r')
waybill_message reply "line 1
\"line\" 2 \\n ü	$cr
" type=text/plain "a b=c\"d"
waybill_message empty ""
large=é
while [ "${#large}" -lt 400000 ]; do large=$large$large; done
printf %s "$large" | head -c 400000 >large.txt
waybill_message_file large large.txt
waybill_output text 'a "b"'
waybill_output_json json '{"a":[1,null]}'
code=0
waybill_step 'last "one"' sh -c 'exit 4' || code=$?
[ "$code" = 4 ]
`},
}

func TestTheSameIsToldInEveryLanguage(t *testing.T) {
	t.Parallel()
	want := `step extract completed read 5 written 0 failed 0 ignored 1 ""
step transform completed read 0 written 0 failed 0 ignored 0 ""
step load completed read 0 written 4 failed 1 ignored 0 ""
step last "one" failed read 0 written 0 failed 0 ignored 0 "exit code 4" code 4
error r0 in extract "" "" "" 
error 7 in load "422" "bad \"ü\"\n\t\\" "t" {"a":[1,"x"]}
progress load 3/5
message reply "line 1\n\"line\" 2 \\n ü\t\r\n" [{a b c"d} {type text/plain}]
message empty "" []
message large "400000 bytes" []
value text "a \"b\""
value json {"a":[1,null]}
`
	for language, program := range tellAll {
		for _, i := range interpreters(t, language) {
			t.Run(i.name, func(t *testing.T) {
				t.Parallel()
				r := newRoom(t)
				out, code := r.run(t, i, program.file, program.text)
				if code != 0 || out != "" {
					t.Errorf("exit code %d: %s", code, out)
				}
				if got := shown(r.told(t)); got != want {
					t.Errorf("told\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

func TestOutsideOfWaybillNothingIsTold(t *testing.T) {
	t.Parallel()
	for language, program := range tellAll {
		for _, i := range interpreters(t, language) {
			t.Run(i.name, func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, "WAYBILL_EVENTS", "")
				if out, code := r.run(t, i, program.file, program.text); code != 0 || out != "" {
					t.Errorf("exit code %d: %s", code, out)
				}
				if info, err := os.Stat(r.events); err != nil || info.Size() != 0 {
					t.Errorf("something was told: %v, %v", info, err)
				}
			})
		}
	}
}

// listAll prints all that a job is given.
var listAll = map[string]struct{ file, text string }{
	"python": {"list.py", `
import waybill
print("retrying", str(waybill.retrying()).lower(), waybill.retry_step() or "-")
for r in waybill.retry_records():
    print("record", r["recordId"], r["data"]["id"])
for m in waybill.in_messages():
    print("message", m.name, len(m.body), m.properties.get("k", "-"))
m = waybill.in_message("order")
print(m.body.strip() if m else "none", waybill.in_message("x") is None, len(waybill.wanted_messages()))
print(waybill.macro("TARGET", "default"), waybill.macro("NONE", "default"))
`},
	"node": {"list.mjs", `
import { createRequire } from "node:module";
const waybill = createRequire(import.meta.url)("waybill");
console.log("retrying", waybill.retrying(), waybill.retryStep() || "-");
for (const r of waybill.retryRecords()) console.log("record", r.recordId, r.data.id);
for (const m of waybill.inMessages()) console.log("message", m.name, Buffer.byteLength(m.body), m.properties.k || "-");
const m = waybill.inMessage("order");
console.log(m ? m.body.trim() : "none", waybill.inMessage("x") === undefined ? "True" : "False", waybill.wantedMessages().length);
console.log(waybill.macro("TARGET", "default"), waybill.macro("NONE", "default"));
`},
	"shell": {"list.sh", `
set -eu
. "$WAYBILL_HELPERS/waybill.sh"
if waybill_retrying; then echo "retrying true $WAYBILL_RETRY_STEP"; else echo "retrying false -"; fi
waybill_retry_records | sed 's/^{"recordId":"\([^"]*\)".*"id":\([0-9]*\).*/record \1 \2/'
for m in $(waybill_in_messages); do
	k=-; [ "$m" != order ] || k=v
	echo "message $m $(waybill_in_message "$m" | wc -c | tr -d ' ') $k"
done
if order=$(waybill_in_message order); then :; else order=none; fi
if waybill_in_message x; then x=False; else x=True; fi
echo "$order $x $(printf %s "${WAYBILL_OUT_MESSAGES-}" | grep -c reply || true)"
echo "$(waybill_macro TARGET default) $(waybill_macro NONE default)"
`},
}

func TestWhatAJobIsGivenIsFoundInEveryLanguage(t *testing.T) {
	t.Parallel()
	for language, program := range listAll {
		for _, i := range interpreters(t, language) {
			t.Run(i.name, func(t *testing.T) {
				t.Parallel()
				r := newRoom(t)
				if out, code := r.run(t, i, program.file, program.text); code != 0 || out != "retrying false -\nnone True 0\ndefault default\n" {
					t.Errorf("exit code %d:\n%s", code, out)
				}
				in := t.TempDir()
				var records strings.Builder
				for n := range 2000 { // more than is read at once
					fmt.Fprintf(&records, `{"recordId":"r%d","data":{"x":"%s","id":%d}}`+"\n", n, strings.Repeat("ü", 50), n)
				}
				index := fmt.Sprintf(`[{"name":"big","file":"%[1]s/in/big","properties":{}},{"name":"order","file":"%[1]s/in/order","properties":{"k":"v"}}]`, in)
				if err := os.Mkdir(filepath.Join(in, "in"), 0o700); err != nil {
					t.Fatal(err)
				}
				for name, text := range map[string]string{"retry": records.String(), "index": index, "in/big": strings.Repeat("x", 100_000), "in/order": "the order\n"} {
					if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				r = newRoom(t, "WAYBILL_RETRY_FILE", in+"/retry", "WAYBILL_RETRY_STEP", "load", "WAYBILL_IN_FILE", in+"/index",
					"WAYBILL_IN_DIR", in+"/in", "WAYBILL_OUT_MESSAGES", `["reply"]`, "TARGET", "a $b")
				var want strings.Builder
				want.WriteString("retrying true load\n")
				for n := range 2000 {
					fmt.Fprintf(&want, "record r%d %d\n", n, n)
				}
				want.WriteString("message big 100000 -\nmessage order 10 v\nthe order True 1\na $b default\n")
				if out, code := r.run(t, i, program.file, program.text); code != 0 || out != want.String() {
					t.Errorf("exit code %d, %d bytes, want %d; ends in %q", code, len(out), want.Len(), out[max(0, len(out)-100):])
				}
			})
		}
	}
}

// Each process tells lines of all lengths, some longer than any buffer on the way.
var tellMany = map[string]struct{ file, text string }{
	"python": {"many.py", `
import sys, threading, waybill
def tell(k):
    for n in range(12):
        waybill.error("%s-%d-%d" % (sys.argv[1], k, n), "c", "x", data="y" * (n * 1501))
threads = [threading.Thread(target=tell, args=(k,)) for k in range(2)]
for t in threads: t.start()
for t in threads: t.join()
`},
	"node": {"many.js", `
const waybill = require("waybill");
for (let k = 0; k < 2; k++)
  for (let n = 0; n < 12; n++) waybill.error({ recordId: process.argv[2] + "-" + k + "-" + n, data: "y".repeat(n * 1501) });
`},
	"shell": {"many.sh", `
. "$WAYBILL_HELPERS/waybill.sh"
for k in 0 1; do
	y=
	n=0
	while [ "$n" -lt 12 ]; do
		waybill_error id="$1-$k-$n" data="\"$y\""
		y=${y}` + strings.Repeat("y", 1501) + `
		n=$((n + 1))
	done
done
`},
}

func TestLinesOfManyProcessesDoNotMix(t *testing.T) {
	t.Parallel()
	const processes = 3
	for language, program := range tellMany {
		for _, i := range interpreters(t, language) {
			t.Run(i.name, func(t *testing.T) {
				t.Parallel()
				r := newRoom(t)
				done := make(chan string, processes)
				for p := range processes {
					go func() {
						file := filepath.Join(r.dir, fmt.Sprint(p, program.file))
						if err := os.WriteFile(file, []byte(program.text), 0o600); err != nil {
							done <- err.Error()
							return
						}
						cmd := exec.CommandContext(t.Context(), i.argv[0], append(slices.Clone(i.argv[1:]), file, fmt.Sprint(p))...)
						cmd.Env = r.env
						out, err := cmd.CombinedOutput()
						if err != nil {
							out = append(out, err.Error()...)
						}
						done <- string(out)
					}()
				}
				for range processes {
					if out := <-done; out != "" {
						t.Errorf("a process says %s", out)
					}
				}
				text, err := os.ReadFile(r.events)
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for line := range strings.Lines(string(text)) {
					var e struct{ RecordID, Data string }
					if err := json.Unmarshal([]byte(line), &e); err != nil || !strings.HasSuffix(line, "\n") {
						t.Fatalf("%v: %.200q", err, line)
					}
					var p, k, n int
					if _, err := fmt.Sscanf(e.RecordID, "%d-%d-%d", &p, &k, &n); err != nil || len(e.Data) != n*1501 || seen[e.RecordID] {
						t.Fatalf("%q with %d bytes: %v", e.RecordID, len(e.Data), err)
					}
					seen[e.RecordID] = true
				}
				if len(seen) != processes*24 {
					t.Errorf("%d lines", len(seen))
				}
				if left, err := os.ReadDir(filepath.Join(r.dir, "tmp")); err != nil || len(left) != 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			})
		}
	}
}

func TestAPackagesOwnModuleComesFirst(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"PYTHONPATH": "/own", "PATH": "/bin"}
	Extend(vars, "/helpers")
	if vars["PYTHONPATH"] != "/own:/helpers" || vars["NODE_PATH"] != "/helpers" || vars[Variable] != "/helpers" || vars["PATH"] != "/bin" {
		t.Errorf("%v", vars)
	}
	for _, i := range interpreters(t, "python") {
		r := newRoom(t)
		if err := os.WriteFile(filepath.Join(r.dir, "waybill.py"), []byte("mine = 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := r.run(t, i, "main.py", "import waybill\nprint(waybill.mine)"); out != "1\n" || code != 0 {
			t.Errorf("%s: %d %s", i.name, code, out)
		}
	}
}

func TestTheModulesCanNotBeChangedByAccident(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "helpers")
	if err := Lay(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) }) // or the folder could not be removed
	if err := Lay(dir); err == nil {
		t.Error("laid over what is there")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, f := range list {
		if info, err := f.Info(); err != nil || info.Mode() != 0o444 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}
