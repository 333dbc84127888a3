package app

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whoever reads an id in what the doctor says finds it in the documentation, and nothing there is of the past.
func TestTheDoctorsIDsAreDocumented(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("doctor*.go")
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`"((?:database|keys|objects|temporal|local|smtp|listen|clock)\.[a-z.]+)"`)
	has := map[string]bool{"*.time": true} // of whichever check did not end
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range id.FindAllStringSubmatch(string(text), -1) {
			name := m[1]
			if strings.HasSuffix(name, ".") { // the rest is what is looked for
				name += "*"
			}
			has[name] = true
		}
	}
	if len(has) < 30 {
		t.Fatalf("only %d ids in %v", len(has), sources)
	}

	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "doctor.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		cell, is := strings.CutPrefix(line, "| `")
		if !is {
			continue
		}
		cell, _, _ = strings.Cut(cell, " |")
		area := ""
		for _, name := range strings.Split(strings.ReplaceAll(cell, "`", ""), ", ") {
			if strings.HasPrefix(name, ".") {
				name = area + name
			}
			area, _, _ = strings.Cut(name, ".")
			told[name] = true
		}
	}
	for name := range has {
		if !told[name] {
			t.Errorf("docs/doctor.md does not tell of %s", name)
		}
	}
	for name := range told {
		if !has[name] {
			t.Errorf("docs/doctor.md tells of %s, which no check has", name)
		}
	}
	if slices.Contains([]bool{has["objects.clock"], has["database.inspect"], told["local.interpreter.*"]}, false) {
		t.Error("the ids are not read as they stand there")
	}
}
