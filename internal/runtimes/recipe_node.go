package runtimes

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// nodeRecipe installs what package-lock.json names, with npm ci. Node looks for libraries in folders named node_modules
// above a file, for import as for require, and the package's folder can not be written to: so the program moves to a place
// where both are together.
func (t *Table) nodeRecipe(ctx context.Context, w Wish, files []string) (*Recipe, error) {
	file := files[0]
	folder := path.Dir(file)
	if _, err := os.Lstat(filepath.Join(w.Program.Tree, filepath.FromSlash(folder), "node_modules")); err == nil {
		return nil, nil // the author brought it along
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return nil, missingTool(err, "npm", file)
	}
	interpreter := w.Command.Interpreter
	if w.Command.Runtime != Node {
		if interpreter, err = lookUp(interpreters[Node], w.Program.shown()); err != nil {
			return nil, err
		}
	}
	version, err := t.probe(ctx, w, Step{Path: interpreter, Argv: []string{interpreter, "-p", "process.version+' '+process.execPath+' '+process.versions.modules"}, Dir: "/"})
	if err != nil {
		return nil, err
	}
	in := w.ingredients(Node, firstLine(version))
	lock, err := in.add(w.Program.Tree, file)
	if err != nil {
		return nil, err
	}
	laid := []string{file}
	for _, name := range []string{"package.json", ".npmrc"} {
		member := path.Join(folder, name)
		if !isFile(filepath.Join(w.Program.Tree, filepath.FromSlash(member))) {
			if name == "package.json" {
				return nil, invalidEntry("'%s' has no package.json beside it", file)
			}
			continue
		}
		if _, err := in.add(w.Program.Tree, member); err != nil {
			return nil, err
		}
		laid = append(laid, member)
	}
	local, err := npmLockIsLocal(lock)
	if err != nil {
		return nil, invalidEntry("'%s' can not be read: %s", file, err)
	}
	local = local || w.namesMembers(folder)
	if in.Folder = folder; local {
		in.Package = w.Package
	}
	return &Recipe{
		Key: in.key(), Title: "Node environment of " + file, Moves: true, Folder: folder, Whole: local,
		lay: func(b Building) error {
			if local {
				return nil
			}
			return layFiles(b, laid)
		},
		steps: func(b Building) []Step {
			return []Step{{
				Path: npm, Dir: filepath.Join(b.Dir, copyName, filepath.FromSlash(folder)), Read: []string{npm},
				Argv: []string{npm, "ci", "--omit=dev", "--no-audit", "--no-fund", "--no-progress", "--cache", filepath.Join(b.Temp, "npm")},
				Env:  map[string]string{"NPM_CONFIG_UPDATE_NOTIFIER": "false", "NODE_ENV": "production"},
			}}
		},
		apply: func(c *Command, dir string) {
			frontOfPath(c, filepath.Join(NodeModules(dir, folder), ".bin"))
		},
	}, nil
}

// NodeModules is where an environment for Node has its libraries.
func NodeModules(dir, folder string) string {
	return filepath.Join(dir, copyName, filepath.FromSlash(folder), "node_modules")
}

// layFiles copies single members to their places.
func layFiles(b Building, members []string) error {
	for _, member := range members {
		text, err := readMember(b.Tree, member)
		if err != nil {
			return err
		}
		to := filepath.Join(b.Dir, copyName, filepath.FromSlash(member))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// npmLockIsLocal tells whether a lock refers to files of the package: archives, folders or workspaces.
func npmLockIsLocal(text []byte) (bool, error) {
	type dependency struct {
		Version  string `json:"version"`
		Resolved string `json:"resolved"`
		Link     bool   `json:"link"`
	}
	var lock struct {
		Packages     map[string]dependency `json:"packages"`
		Dependencies map[string]dependency `json:"dependencies"` // lockfileVersion 1
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return false, err
	}
	for name, d := range lock.Packages {
		if name != "" && !strings.Contains(name, "node_modules/") || d.Link || strings.HasPrefix(d.Resolved, "file:") {
			return true, nil
		}
	}
	for _, d := range lock.Dependencies {
		if strings.HasPrefix(d.Version, "file:") || strings.HasPrefix(d.Resolved, "file:") {
			return true, nil
		}
	}
	return false, nil
}
