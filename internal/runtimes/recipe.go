package runtimes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"waybill/internal/job"
)

// recipeVersion is part of every key: a change in how environments are built makes new ones.
const recipeVersion = 1

// Recipe says which environment a program needs, and how it is built and used.
type Recipe struct {
	Key   string   // of all that decides what is in it
	Title string   // for the log: "Python environment of requirements.txt"
	Notes []string // what the author should know, for the log

	// Moves is set when the program has to run from another place than the unpacked package, because what it needs is
	// looked for beside it. The folder of the package that needs it is Folder.
	Moves  bool
	Folder string
	// Whole is set when the environment depends on more of the package than its lock files, and holds a copy of it.
	Whole bool

	lay   func(b Building) error
	steps func(b Building) []Step
	apply func(c *Command, dir string)
}

// Building is an environment on its way.
type Building struct {
	Tree string // the unpacked package
	Dir  string // what is left here is the environment
	Temp string // a folder inside Dir that is gone afterwards
	Copy func(from, to string) error
}

// Step is a command of a build.
type Step struct {
	Path string
	Argv []string
	Dir  string
	Env  map[string]string
	Read []string
}

// copyName is where an environment has its copy of the package.
const copyName = "package"

// Lay puts what the steps need into the folder, and lists the steps.
func (r *Recipe) Lay(b Building) ([]Step, error) {
	if r.Whole {
		if err := b.Copy(b.Tree, filepath.Join(b.Dir, copyName)); err != nil {
			return nil, err
		}
	}
	if r.lay != nil {
		if err := r.lay(b); err != nil {
			return nil, err
		}
	}
	return r.steps(b), nil
}

// Apply makes a command use the environment in dir.
func (r *Recipe) Apply(c *Command, dir string) {
	c.Read = append(c.Read, dir)
	if c.Env == nil {
		c.Env = map[string]string{}
	}
	if r.apply != nil {
		r.apply(c, dir)
	}
}

// Copied is where an environment has its copy of the package; for recipes that have Whole set.
func (r *Recipe) Copied(dir string) string { return filepath.Join(dir, copyName) }

// Wish is what an environment is made for.
type Wish struct {
	Program      Program
	Command      Command
	Dependencies []string          // members that waybill.yaml names; empty: those found beside the entry point
	Account      int64             // environments are not shared between accounts
	Package      string            // the package's digest
	Env          map[string]string // settings of the tools that build, such as PIP_INDEX_URL
	// Run runs a command that tells about an interpreter. The interpreter may be the package's choice, so it is not run
	// outside the sandbox.
	Run func(ctx context.Context, s Step, output io.Writer) error
}

// Recipe finds the environment a program needs; nil: none.
func (t *Table) Recipe(ctx context.Context, w Wish) (*Recipe, error) {
	if w.Command.Runtime == Wasm {
		return t.wasmRecipe(w), nil
	}
	kind, files, err := w.lockFiles()
	if err != nil || len(files) == 0 {
		return nil, err
	}
	if kind == Node {
		return t.nodeRecipe(ctx, w, files)
	}
	return t.pythonRecipe(ctx, w, files)
}

// lockNames are the files that call for an environment, by runtime, the closest to what is installed first.
var lockNames = map[string][]string{
	Python: {"uv.lock", "poetry.lock", "pylock.toml", "requirements.txt", "pyproject.toml"},
	Node:   {"npm-shrinkwrap.json", "package-lock.json"},
}

// lockFiles lists the members that call for an environment: those waybill.yaml names, or else those in the folder of the
// entry point, or in the nearest folder above it that has some.
func (w Wish) lockFiles() (kind string, files []string, err error) {
	if len(w.Dependencies) > 0 {
		return w.namedLocks()
	}
	names := lockNames[w.Command.Runtime]
	if len(names) == 0 {
		return "", nil, nil
	}
	for dir := path.Dir(w.Program.Entry.Member); ; dir = path.Dir(dir) {
		for _, name := range names {
			if isFile(filepath.Join(w.Program.Tree, filepath.FromSlash(dir), name)) {
				files = append(files, path.Join(dir, name))
			}
		}
		if len(files) > 0 || dir == "." {
			return w.Command.Runtime, files, nil
		}
	}
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// namedLocks takes waybill.yaml at its word. A shell script may ask for the environment of another runtime, which it then
// finds on its PATH.
func (w Wish) namedLocks() (kind string, files []string, err error) {
	for _, member := range w.Dependencies {
		found := ""
		for k, names := range lockNames {
			if slices.Contains(names, path.Base(member)) || k == Python && strings.HasSuffix(member, ".txt") {
				found = k
			}
		}
		switch {
		case found == "":
			return "", nil, invalidEntry("Dependency '%s' of %s is none that is known: %s", member, w.Program.shown(),
				strings.Join(append(slices.Clone(lockNames[Python]), lockNames[Node]...), ", "))
		case kind != "" && found != kind, w.Command.Runtime != found && w.Command.Runtime != Shell:
			return "", nil, invalidEntry("Dependency '%s' of %s does not fit its runtime, %s", member, w.Program.shown(), w.Command.Runtime)
		case !fs.ValidPath(member) || !isFile(filepath.Join(w.Program.Tree, filepath.FromSlash(member))):
			return "", nil, invalidEntry("Dependency '%s' of %s is not in the package", member, w.Program.shown())
		}
		kind, files = found, append(files, member)
	}
	if i := slices.IndexFunc(files, func(f string) bool { return !strings.HasSuffix(f, ".txt") && path.Dir(f) != path.Dir(files[0]) }); i >= 0 {
		return "", nil, invalidEntry("Dependencies '%s' and '%s' of %s lie in different folders, but only one of them can be installed", files[0], files[i], w.Program.shown())
	}
	return kind, files, nil
}

// ingredients are what the key of an environment is made of.
type ingredients struct {
	Version     int
	Kind        string
	Account     int64
	Platform    string
	Interpreter any
	Tool        string            `json:",omitempty"`
	Files       [][2]string       `json:",omitempty"` // name, digest
	Env         map[string]string `json:",omitempty"`
	Package     string            `json:",omitempty"` // where the lock refers to the package's own files
	Folder      string            `json:",omitempty"`
}

func (w Wish) ingredients(kind string, interpreter any) ingredients {
	return ingredients{
		Version: recipeVersion, Kind: kind, Account: w.Account, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Interpreter: interpreter, Env: w.Env,
	}
}

// add enters a member.
func (i *ingredients) add(tree, member string) ([]byte, error) {
	text, err := readMember(tree, member)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	i.Files = append(i.Files, [2]string{member, hex.EncodeToString(sum[:])})
	return text, nil
}

func (i *ingredients) key() string {
	text, err := json.Marshal(i)
	if err != nil {
		panic(err) // plain values only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// namesMembers tells whether a setting is, or lists, the name of a member, relative to the folder that the tools are started in:
// PIP_FIND_LINKS=wheels. What is built then depends on more than the lock.
func (w Wish) namesMembers(folder string) bool {
	for _, value := range w.Env {
		for _, word := range strings.Fields(value) {
			name := path.Join(folder, filepath.ToSlash(word))
			if filepath.IsAbs(word) || strings.Contains(word, "://") || !fs.ValidPath(name) {
				continue
			}
			if _, err := os.Lstat(filepath.Join(w.Program.Tree, filepath.FromSlash(name))); err == nil {
				return true
			}
		}
	}
	return false
}

// maxLock bounds a lock file: that of a large application has some megabytes.
const maxLock = 64 << 20

func readMember(tree, member string) ([]byte, error) {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(member))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLock+1))
	if err == nil && len(text) > maxLock {
		err = invalidEntry("'%s' is larger than %d MiB", member, maxLock>>20)
	}
	return text, err
}

// frontOfPath puts a folder in front of the PATH a program gets.
func frontOfPath(c *Command, dir string) {
	c.Env["PATH"] = dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// missingTool is the error of a tool that builds environments and is not there.
func missingTool(err error, tool, file string) error {
	return job.Wrap(err, job.Invalid, job.WordInterpreterMissing, "'%s', which installs what %s names, is not installed on this worker", tool, file)
}
