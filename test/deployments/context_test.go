package deployments

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// The image is built from what .dockerignore lets through: all that the program needs, and nothing else.
func TestTheImageIsBuiltFromWholeSources(t *testing.T) {
	t.Parallel()
	patterns, err := ignorefile.ReadAll(bytes.NewReader(read(t, filepath.Join(root, ".dockerignore"))))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	there := func(path string) bool {
		out, err := ignored.MatchesOrParentMatches(path)
		if err != nil {
			t.Fatal(err)
		}
		return !out
	}
	files := sources(t)
	if len(files) < 300 {
		t.Errorf("only %d files looked at", len(files))
	}
	for _, path := range append(files, "go.mod", "go.sum") {
		if !there(path) {
			t.Errorf("the image is built without %s", path)
		}
	}
	for _, path := range []string{".git/config", "deployments/compose/.env", "deployments/compose/secrets/waybill-master-key", "waybill-data/master.key", "test/e2e/doc.go", "api/body_test.go", "bin/waybill"} {
		if there(path) {
			t.Errorf("%s goes into the image's build", path)
		}
	}
}

// sources are the files of ours that the program is made of.
func sources(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,SFiles,EmbedFiles", "./cmd/waybill")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			ImportPath, Dir             string
			GoFiles, SFiles, EmbedFiles []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.ImportPath, "waybill/") {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.SFiles, p.EmbedFiles) {
			path, err := filepath.Rel(root, filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, path)
		}
	}
	return files
}
