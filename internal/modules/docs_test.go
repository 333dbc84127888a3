package modules

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waybill/internal/job"
)

// examples are the programs of docs/packages.md that tell what happens, by language.
func examples(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "packages.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Telling what happens\n")
	section, _, _ = strings.Cut(section, "\n## ")
	found := map[string][]string{}
	for _, block := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(section, -1) {
		language := map[string]string{"python": "python", "js": "node", "sh": "shell"}[block[1]]
		found[language] = append(found[language], block[2])
	}
	for _, language := range []string{"python", "node", "shell"} {
		if len(found[language]) != 2 || len(found) != 3 {
			t.Fatalf("docs/packages.md has %d examples in %s, want one by hand and one with the module", len(found[language]), language)
		}
	}
	return found
}

// outcome sums up what an example told.
func outcome(r job.Report) string {
	var b strings.Builder
	var read, written, failed int64
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "%s %s, ", s.Name, s.Status)
		read, written, failed = read+s.RecordsRead, written+s.RecordsWritten, failed+s.RecordsFailed
	}
	fmt.Fprintf(&b, "%d read, %d written, %d failed:", read, written, failed)
	for _, e := range r.Errors {
		fmt.Fprintf(&b, " %s %s %s %s", e.RecordID, e.Step, e.Code, e.Data)
	}
	for _, v := range r.Values {
		fmt.Fprintf(&b, ", %s is %s", v.Name, v.Value)
	}
	for _, m := range r.Messages {
		fmt.Fprintf(&b, ", message %s of %v", m.Name, strings.Contains(m.Body, "the order"))
	}
	return b.String() + strings.Join(r.Warnings, ", ")
}

func TestTheExamplesOfTheDocumentationRun(t *testing.T) {
	t.Parallel()
	all := "extract completed, load completed, report completed, 100 read, 93 written, 7 failed:"
	for n := 14; n < 100; n += 14 {
		all += fmt.Sprintf(` %d load negative {"id":%d,"amount":-1}`, n, n)
	}
	again := `extract completed, load completed, report completed, 2 read, 1 written, 1 failed: 28 load negative {"id":28,"amount":-2}`
	for language, programs := range examples(t) {
		for _, i := range interpreters(t, language) {
			for number, program := range programs {
				t.Run(fmt.Sprintf("%s %d", i.name, number), func(t *testing.T) {
					t.Parallel()
					run := func(want string, vars ...string) {
						t.Helper()
						r := newRoom(t, vars...)
						if out, code := r.run(t, i, "main"+map[string]string{"python": ".py", "node": ".js", "shell": ".sh"}[language], program); code != 0 || strings.Contains(out, "rror") {
							t.Errorf("exit code %d: %s", code, out)
						}
						if got := outcome(r.told(t)); got != want {
							t.Errorf("told %s\nwant %s", got, want)
						}
					}
					in := t.TempDir()
					for name, text := range map[string]string{
						"retry": `{"recordId":"14","step":"load","data":{"id":14,"amount":5}}` + "\n" + `{"recordId":"28","step":"load","traceKey":"t","data":{"id":28,"amount":-2}}` + "\n",
						"index": fmt.Sprintf(`[{"name":"order","file":"%s/order","properties":{}}]`, in), "order": "the order",
					} {
						if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					first, second := all, again
					if number == 1 {
						first, second = first+", written is 93, message reply of true", second+", written is 1, message reply of false"
					}
					run(first, "WAYBILL_IN_FILE", in+"/index", "WAYBILL_IN_DIR", in)
					run(second, "WAYBILL_RETRY_FILE", in+"/retry")
				})
			}
		}
	}
}
