package pack

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waybill/internal/manifest"
)

//go:embed all:templates
var templates embed.FS

const schemaName = "waybill.schema.json"

// Runtimes are those Init has an example for.
func Runtimes() []string {
	entries, err := templates.ReadDir("templates")
	if err != nil { // it is part of the program
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Init writes a small package that can be run into dir, which it makes if need be, and gives the names of its files. It
// overwrites nothing: with one of them there already, none is written.
func Init(dir, runtime string) ([]string, error) {
	if !slices.Contains(Runtimes(), runtime) {
		return nil, fmt.Errorf("there is no example for runtime %q; there is one for %s", runtime, strings.Join(Runtimes(), ", "))
	}
	files, err := example(dir, runtime)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		switch _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); {
		case err == nil:
			return nil, fmt.Errorf("%s is there already", filepath.Join(dir, name))
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for i, name := range names {
		if err := writeNew(root, name, files[name]); err != nil {
			return nil, errors.Join(err, undo(root, names[:i]))
		}
	}
	return names, nil
}

// example gives the text of the files by name.
func example(dir, runtime string) (map[string][]byte, error) {
	top := "templates/" + runtime
	files := map[string][]byte{
		IgnoreFile: []byte("# What stays out of the package, one pattern a line, as in a .dockerignore.\nbuild\n*.djar\n" + schemaName + "\n"),
		schemaName: manifest.Schema,
	}
	name, err := json.Marshal(strings.Trim(folderName(dir), ".-")) // JSON is YAML
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(templates, top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		if d.Name() == manifest.Names[0] {
			text = []byte("# yaml-language-server: $schema=" + schemaName + "\n" + strings.ReplaceAll(string(text), `"{{name}}"`, string(name)))
		}
		files[strings.TrimPrefix(path, top+"/")] = text
		return nil
	})
	return files, err
}

func writeNew(root *os.Root, name string, text []byte) error {
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(string(text), "#!") {
		mode = 0o755
	}
	if dir := filepath.Dir(filepath.FromSlash(name)); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

func undo(root *os.Root, names []string) (err error) {
	for _, name := range names {
		err = errors.Join(err, root.Remove(name))
	}
	return err
}
