package examples

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSampleIsPackedTheSameEveryTime(t *testing.T) {
	var a, b bytes.Buffer
	if err := WriteSample(&a); err != nil {
		t.Fatal(err)
	}
	if err := WriteSample(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two packings differ")
	}
}

// run runs the sample as the runner does: its folder is the working directory, results go to a folder of their own.
func run(t *testing.T, orders string, env ...string) (exit int, log string, out func(string) string) {
	t.Helper()
	dir, results := t.TempDir(), t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	sample := filepath.Join(dir, "sample")
	if orders != "" {
		if err := os.Chmod(filepath.Join(sample, "data", "orders.csv"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sample, "data", "orders.csv"), []byte(orders), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "integrateXYZ.process")
	cmd.Dir, cmd.Env = sample, append([]string{"PATH=" + os.Getenv("PATH"), "LOCAL_JOB_OUT_DIR=" + results}, env...)
	text, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text), func(name string) string {
		text, err := os.ReadFile(filepath.Join(results, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestSampleSortsGoodOrdersFromBad(t *testing.T) {
	exit, log, out := run(t, "")
	if exit != 0 || !strings.Contains(log, "12 rows read, 7 passed, 5 failed") {
		t.Errorf("exit %d, log:\n%s", exit, log)
	}
	if got := out("summary.json"); got != `{"rows":12,"passed":7,"failed":5}`+"\n" {
		t.Errorf("summary.json = %s", got)
	}
	if n := strings.Count(out("orders.ndjson"), "\n"); n != 7 {
		t.Errorf("%d orders written, want 7", n)
	}
	if n := strings.Count(out("rejected.ndjson"), "\n"); n != 5 {
		t.Errorf("%d rejected rows written, want 5", n)
	}
}

func TestSampleFailsWhenStrictOrEmpty(t *testing.T) {
	if exit, _, _ := run(t, "", "STRICT=1"); exit != 3 {
		t.Errorf("strict with bad rows: exit %d, want 3", exit)
	}
	header := "order_id,date,customer,email,sku,quantity,unit_price,currency\n"
	if exit, _, _ := run(t, header, "STRICT=1"); exit != 2 {
		t.Errorf("no rows: exit %d, want 2", exit)
	}
	odd := header + "A-1,2026-03-01,\"x\",a@b.c,s,1,1,EUR\n\nA-2,2026-03-01,back\\slash,a@b.c,s,1,1.5,EUR\r\n"
	exit, log, out := run(t, odd)
	if exit != 0 || !strings.Contains(log, "2 rows read, 1 passed, 1 failed") || !strings.Contains(out("orders.ndjson"), `back\\slash`) {
		t.Errorf("exit %d, log:\n%s", exit, log)
	}
}
