package deployments

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// root is the project's folder.
var root = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}()

func at(parts ...string) string {
	return filepath.Join(append([]string{root, "deployments"}, parts...)...)
}

// tool finds a program that CI installs, and skips the test where it is not there.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{filepath.Join(root, ".ci", "cache", name), filepath.Join(root, ".ci", "cache", "lint", "bin", name)} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("NOT RUN: %s is not installed (.ci/run installs it)", name)
	}
	return path
}

// try runs a command and gives what it wrote.
func try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, text)
	}
	return text
}

// module is the folder of a module's sources, which only these tests read.
func module(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", path)
	cmd.Dir = t.TempDir() // not of this module
	text, err := cmd.Output()
	var found struct{ Dir, Error string }
	if errors.Join(err, json.Unmarshal(text, &found)) != nil || found.Dir == "" {
		t.Skipf("NOT RUN: %s can not be had: %v %s", path, err, found.Error)
	}
	return found.Dir
}

// documents reads a YAML text of several documents, with numbers and keys as JSON has them.
func documents(t *testing.T, text []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var one map[string]any
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(one) == 0 {
			continue
		}
		plain, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		one = nil
		if err := json.Unmarshal(plain, &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// dig follows keys through maps.
func dig(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
