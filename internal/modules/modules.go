package modules

import (
	"embed"
	"errors"
	"os"
	"path/filepath"
)

//go:embed waybill.py waybill.js waybill.sh
var files embed.FS

// Variable names the folder for programs.
const Variable = "WAYBILL_HELPERS"

// paths are where interpreters look for modules.
var paths = []string{"PYTHONPATH", "NODE_PATH"}

// Lay writes the modules into a new folder, for reading only.
func Lay(dir string) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	list, err := files.ReadDir(".")
	if err != nil {
		return err
	}
	for _, f := range list {
		text, err := files.ReadFile(f.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f.Name()), text, 0o444)
		}
		if err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
	}
	return os.Chmod(dir, 0o555) //nolint:gosec // programs that run as somebody else read it
}

// Extend leads an environment to the folder. What a package or a macro has set comes first, so a module of the same name in
// it stays what it was.
func Extend(vars map[string]string, dir string) {
	vars[Variable] = dir
	for _, name := range paths {
		if had := vars[name]; had != "" {
			vars[name] = had + string(os.PathListSeparator) + dir
		} else {
			vars[name] = dir
		}
	}
}
