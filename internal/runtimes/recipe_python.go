package runtimes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"waybill/internal/job"
)

// pythonFacts is what an interpreter says about itself.
type pythonFacts struct {
	Executable string // the interpreter behind links and shims
	Version    string // in full, with the compiler
	Platform   string
	Pip        string // version; empty: none
	Venv       bool
}

const pythonProbe = `import json, sys, sysconfig
try:
    import pip
    p = pip.__version__
except ImportError:
    p = ""
try:
    import venv, ensurepip
    v = True
except ImportError:
    v = False
print(json.dumps({"Executable": sys.executable, "Version": sys.version, "Platform": sysconfig.get_platform(), "Pip": p, "Venv": v}))`

func (t *Table) probePython(ctx context.Context, w Wish) (facts pythonFacts, err error) {
	interpreter := w.Command.Interpreter
	if w.Command.Runtime != Python {
		if interpreter, err = lookUp(interpreters[Python], w.Program.shown()); err != nil {
			return facts, err
		}
	}
	text, err := t.probe(ctx, w, Step{Path: interpreter, Argv: []string{interpreter, "-I", "-c", pythonProbe}, Dir: "/"})
	if err == nil {
		err = json.Unmarshal(text, &facts)
	}
	if err != nil {
		return facts, job.Wrap(err, job.Invalid, job.WordEnvironmentFailed, "Python (%s) does not tell about itself", interpreter)
	}
	return facts, nil
}

// pythonPlan is how a virtual environment gets its libraries.
type pythonPlan struct {
	file  string   // the member that decides
	more  []string // further requirements files, which waybill.yaml names
	tool  string   // pip, uv, poetry
	local bool     // it refers to files of the package
	lines []string
	notes []string
}

// pythonRecipe makes a virtual environment of requirements.txt, a lock, or the dependencies of pyproject.toml.
func (t *Table) pythonRecipe(ctx context.Context, w Wish, files []string) (*Recipe, error) {
	facts, err := t.probePython(ctx, w)
	if err != nil {
		return nil, err
	}
	in := w.ingredients(Python, facts)
	plan, err := planPython(w, files, &in)
	if err != nil || plan.file == "" {
		return nil, err
	}
	in.Tool = plan.tool
	plan.local = plan.local || w.namesMembers(path.Dir(plan.file))
	if plan.local {
		in.Package = w.Package
	}
	if !facts.Venv && !pipInto(facts.Pip) {
		return nil, job.Errorf(job.Invalid, job.WordInterpreterMissing,
			"Python (%s) can not make virtual environments: its modules venv and ensurepip are missing (Debian: python3-venv)", facts.Executable)
	}
	return &Recipe{
		Key: in.key(), Title: "Python environment of " + strings.Join(append([]string{plan.file}, plan.more...), ", "), Notes: plan.notes, Whole: plan.local,
		lay: func(b Building) error {
			if plan.lines == nil {
				return nil
			}
			return os.WriteFile(filepath.Join(b.Dir, "requirements.txt"), []byte(strings.Join(plan.lines, "\n")+"\n"), 0o600)
		},
		steps: func(b Building) []Step { return pythonSteps(b, facts, plan) },
		apply: func(c *Command, dir string) {
			venv := filepath.Join(dir, "venv")
			frontOfPath(c, filepath.Join(venv, "bin"))
			c.Env["VIRTUAL_ENV"] = venv
			if c.Runtime == Python {
				c.Path = filepath.Join(venv, "bin", "python")
				c.Argv = append([]string{c.Path}, c.Argv[1:]...)
			}
		},
	}, nil
}

// planPython chooses among the files of one folder: a lock whose tool is there, requirements.txt, pyproject.toml.
func planPython(w Wish, files []string, in *ingredients) (pythonPlan, error) {
	var notes []string
	for i, file := range files {
		switch path.Base(file) {
		case "uv.lock", "pylock.toml", "poetry.lock":
			tool := "uv"
			if path.Base(file) == "poetry.lock" {
				tool = "poetry"
			}
			if _, err := exec.LookPath(tool); err != nil {
				if len(files) == 1 {
					return pythonPlan{}, missingTool(err, tool, file)
				}
				notes = append(notes, fmt.Sprintf("%s is not used: %s is not installed on this worker", file, tool))
				continue
			}
			text, err := in.add(w.Program.Tree, file)
			if err != nil {
				return pythonPlan{}, err
			}
			if path.Base(file) != "pylock.toml" {
				if _, err := in.add(w.Program.Tree, path.Join(path.Dir(file), "pyproject.toml")); err != nil {
					return pythonPlan{}, invalidEntry("'%s' has no pyproject.toml beside it", file)
				}
			}
			return pythonPlan{file: file, tool: tool, local: lockIsLocal(text), notes: notes}, nil
		case "pyproject.toml":
			plan, err := planProject(w, file, in)
			plan.notes = notes
			return plan, err
		default:
			return planRequirements(w, files[i:], in, notes)
		}
	}
	return pythonPlan{}, nil
}

// planRequirements takes the first file with all other requirements files behind it: pip makes one choice for all.
func planRequirements(w Wish, files []string, in *ingredients, notes []string) (pythonPlan, error) {
	plan := pythonPlan{file: files[0], tool: "pip", notes: notes}
	for i, file := range files {
		if i > 0 {
			if !strings.HasSuffix(file, ".txt") {
				continue // a lock or a project in place of these
			}
			plan.more = append(plan.more, file)
		}
		local, err := requirements(w.Program.Tree, file, in, 0)
		if err != nil {
			return plan, err
		}
		plan.local = plan.local || local
	}
	return plan, nil
}

// planProject installs the dependencies of a project, not the project: a program is run from its files. A project without
// any needs no environment.
func planProject(w Wish, file string, in *ingredients) (pythonPlan, error) {
	text, err := in.add(w.Program.Tree, file)
	if err != nil {
		return pythonPlan{}, err
	}
	var project struct {
		Project struct {
			Dependencies []string `toml:"dependencies"`
		} `toml:"project"`
	}
	if err := toml.Unmarshal(text, &project); err != nil {
		return pythonPlan{}, invalidEntry("'%s' can not be read: %s", file, err)
	}
	deps := project.Project.Dependencies
	if len(deps) == 0 {
		return pythonPlan{}, nil
	}
	for _, d := range deps {
		if strings.ContainsAny(d, "\r\n") || strings.HasPrefix(strings.TrimSpace(d), "-") {
			return pythonPlan{}, invalidEntry("'%s' has %q, which is no dependency", file, d)
		}
	}
	return pythonPlan{file: file, tool: "pip", lines: deps}, nil
}

// plainRequirement is a line of requirements.txt that surely does not refer to a file of the package: a name with what may
// follow it, or a URL of the network.
var plainRequirement = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*($|[=<>!~;(,]|@\s*(https?|git\+https?|git\+ssh)://|--hash)`)

// plainOption is an option that does not refer to one, either.
var plainOption = regexp.MustCompile(`^(-i|--index-url|--extra-index-url|--trusted-host|--prefer-binary|--pre|--no-binary|--only-binary|--require-hashes|--hash|--use-feature|-f\s+https?:|--find-links[= ]\s*https?:|--no-index)`)

// requirements enters a requirements file with those it includes, and tells whether any line may refer to a file of the
// package. In doubt it does: the environment is then built anew for every version of the package, which is never wrong.
func requirements(tree, file string, in *ingredients, depth int) (local bool, err error) {
	if depth > 10 {
		return false, invalidEntry("'%s' includes itself", file)
	}
	text, err := in.add(tree, file)
	if err != nil {
		return false, err
	}
	joined := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\\\n", " ")
	for line := range strings.SplitSeq(joined, "\n") {
		if i := strings.Index(line, " #"); i >= 0 {
			line = line[:i]
		}
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if included, ok := includes(line); ok {
			name := path.Join(path.Dir(file), included)
			if !fs.ValidPath(name) || strings.Contains(included, "://") || !isFile(filepath.Join(tree, filepath.FromSlash(name))) {
				local = true // pip will say what it thinks of it
				continue
			}
			more, err := requirements(tree, name, in, depth+1)
			if err != nil {
				return false, err
			}
			local = local || more
			continue
		}
		plain := plainRequirement.MatchString(line) || plainOption.MatchString(line)
		if plain && !strings.HasPrefix(line, "-") && strings.HasSuffix(strings.ToLower(strings.Fields(line)[0]), ".whl") {
			plain = false
		}
		local = local || !plain || strings.Contains(line, "file:")
	}
	return local, nil
}

// includes tells whether a line takes another file in.
func includes(line string) (string, bool) {
	for _, option := range []string{"--requirement", "--constraint", "-r", "-c"} {
		if rest, ok := strings.CutPrefix(line, option); ok {
			return strings.TrimLeft(rest, " =\t"), true
		}
	}
	return "", false
}

var (
	ownProject = regexp.MustCompile(`source = \{ (virtual|editable) = "\." \}`)
	localLock  = regexp.MustCompile(`(?m)(\b(path|directory|editable|virtual)\s*=\s*")|(file:)|(^type\s*=\s*"(directory|file)")`)
)

// lockIsLocal tells whether a lock may refer to files of the package. That of uv always names the project itself, which is
// not installed.
func lockIsLocal(text []byte) bool { return localLock.Match(ownProject.ReplaceAll(text, nil)) }

// pipInto tells whether this pip can install into another interpreter's environment (22.3).
func pipInto(version string) bool {
	var numbers [2]int
	for i, part := range strings.SplitN(version, ".", 3) {
		if i < 2 {
			numbers[i], _ = strconv.Atoi(part)
		}
	}
	return numbers[0] > 22 || numbers[0] == 22 && numbers[1] >= 3
}

func pythonSteps(b Building, facts pythonFacts, plan pythonPlan) []Step {
	venv := filepath.Join(b.Dir, "venv")
	tree := b.Tree
	if plan.local {
		tree = filepath.Join(b.Dir, copyName)
	}
	file := filepath.Join(tree, filepath.FromSlash(plan.file))
	folder := filepath.Dir(file)
	exe := facts.Executable
	outer := plan.tool == "pip" && pipInto(facts.Pip) // the interpreter's own pip will do: making one takes seconds
	argv := []string{exe, "-I", "-m", "venv", venv}
	if outer || plan.tool != "pip" {
		argv = []string{exe, "-I", "-m", "venv", "--without-pip", venv}
	}
	steps := []Step{{Path: exe, Argv: argv, Dir: b.Dir}}
	inside := filepath.Join(venv, "bin", "python")
	switch plan.tool {
	case "uv":
		uv, _ := exec.LookPath("uv") // looked for already
		args := []string{uv, "sync", "--frozen", "--no-dev", "--no-install-project", "--project", folder}
		if path.Base(plan.file) == "pylock.toml" {
			args = []string{uv, "pip", "sync", "--python", inside, file}
		}
		return append(steps, Step{Path: uv, Argv: args, Dir: folder, Env: map[string]string{
			"UV_PROJECT_ENVIRONMENT": venv, "UV_CACHE_DIR": filepath.Join(b.Temp, "uv"), "UV_LINK_MODE": "copy", "UV_NO_PROGRESS": "1",
			"UV_PYTHON_DOWNLOADS": "never", "UV_COMPILE_BYTECODE": "1", "UV_PYTHON": inside,
		}, Read: []string{uv}})
	case "poetry":
		poetry, _ := exec.LookPath("poetry")
		return append(steps, Step{
			Path: poetry, Argv: []string{poetry, "install", "--no-root", "--only", "main", "--no-interaction", "--compile"}, Dir: folder,
			Env:  map[string]string{"VIRTUAL_ENV": venv, "POETRY_CACHE_DIR": filepath.Join(b.Temp, "poetry"), "POETRY_VIRTUALENVS_CREATE": "false"},
			Read: []string{poetry},
		})
	}
	if plan.lines != nil {
		file = filepath.Join(b.Dir, "requirements.txt")
	}
	pip := []string{exe, "-I", "-m", "pip", "--python", inside}
	if !outer {
		pip = []string{inside, "-I", "-m", "pip"}
	}
	pip = append(pip, "install", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off", "--no-warn-script-location", "-r", file)
	for _, name := range plan.more {
		pip = append(pip, "-r", filepath.Join(tree, filepath.FromSlash(name)))
	}
	return append(steps, Step{
		Path: pip[0], Dir: folder, Argv: pip,
		Env: map[string]string{"PIP_ROOT_USER_ACTION": "ignore"},
	})
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return string(line)
}
