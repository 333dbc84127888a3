package pack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"waybill/internal/archive"
	"waybill/internal/job"
	"waybill/internal/manifest"
	"waybill/internal/runtimes"
)

// maxRead bounds what is read of a file to advise on it.
const maxRead = 1 << 20

// builtIn are the runtimes a worker has without a command runner table.
var builtIn = []string{runtimes.Shell, runtimes.Python, runtimes.Node, runtimes.Java, runtimes.Wasm, runtimes.SQL, runtimes.Native}

// adviser looks for what an upload takes and a job may trip over.
type adviser struct {
	*Report
	members []string
	read    func(member string) []byte // the beginning of a file; nil: it can not be read
}

// advise adds warnings about a folder's package.
func advise(r *Report, dir string, files []file) error {
	if !r.OK() {
		return nil
	}
	a := &adviser{Report: r, read: func(member string) []byte { return head(filepath.Join(dir, filepath.FromSlash(member))) }}
	for _, f := range files {
		if !f.dir {
			a.members = append(a.members, f.name)
		}
	}
	a.all()
	return nil
}

// adviseArchive adds warnings about a packed package, which is unpacked for it as a worker does.
func adviseArchive(ctx context.Context, r *Report, f *os.File) error {
	if !archive.IsArchive(r.Package) {
		a := &adviser{Report: r, members: []string{r.Package}, read: func(string) []byte { return head(f.Name()) }}
		a.all()
		return nil
	}
	temp, err := os.MkdirTemp("", "waybill-package-")
	if err != nil {
		return err
	}
	defer func() { _ = archive.Remove(temp) }()
	tree := filepath.Join(temp, "tree")
	if _, err := archive.Unpack(ctx, f, r.Size, r.Package, tree, archive.DefaultLimits); err != nil {
		return err
	}
	members, err := archive.Members(os.DirFS(tree))
	if err != nil {
		return err
	}
	r.Files = len(members)
	a := &adviser{Report: r, members: members, read: func(member string) []byte { return head(filepath.Join(tree, filepath.FromSlash(member))) }}
	a.all()
	return nil
}

func head(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRead))
	if err != nil {
		return nil
	}
	return text
}

func (a *adviser) warn(member, format string, args ...any) {
	a.Warnings = append(a.Warnings, manifest.Fault{Member: member, Text: fmt.Sprintf(format, args...)})
}

func (a *adviser) all() {
	if a.archive.Jar != "" {
		a.members = append(a.members, a.archive.Jar)
	}
	switch {
	case len(a.EntryPoints) == 0:
		a.warn("", "nothing in it can be run: no entry point was found")
	case a.Default == "":
		a.warn("", "it has %d entry points and no default, so each job config has to name one", len(a.EntryPoints))
	default:
		if _, err := archive.Match(a.archive, a.members, ""); err != nil {
			a.warn("META-INF/MANIFEST.MF", "names a Main-Process that is not in the package: %s", a.archive.Main)
		}
	}
	if a.Manifest == nil {
		return
	}
	for _, m := range a.Manifest.Macros {
		if m.Required && m.Default != nil {
			a.warn("macro "+m.Name, "is required and has a default, so it is never missing")
		}
	}
	used := map[string]string{} // where, by macro
	for _, e := range a.Manifest.EntryPoints {
		a.entry(e)
		a.macros(e, used)
	}
	a.undeclared(used)
}

func (a *adviser) entry(e job.EntryPoint) {
	name := "entry point " + e.Name
	switch {
	case e.Runtime == "":
		if !a.runnable(e.Path) {
			a.warn(name, "does not tell how it is run: it has no runtime, no #! line, and an ending that says nothing; a worker's command runner table has to know it")
		}
	case !slices.Contains(builtIn, e.Runtime):
		a.warn(name, "has the runtime %s, which workers need in their command runner table; built in are %s", e.Runtime, strings.Join(builtIn, ", "))
	}
	if e.Runtime == runtimes.Node || e.Runtime == "" && slices.Contains([]string{".js", ".mjs", ".cjs"}, path.Ext(base(e.Path))) {
		a.node(name, path.Dir(e.Path))
	}
}

// runnable tells whether a worker knows by itself how to run a member.
func (a *adviser) runnable(member string) bool {
	switch path.Ext(base(member)) {
	case ".sh", ".py", ".js", ".mjs", ".cjs", ".jar", ".wasm", ".sql":
		return true
	}
	text := string(a.read(member))
	return strings.HasPrefix(text, "#!") || strings.HasPrefix(text, "\x7fELF")
}

// node warns of dependencies that are named but not locked: they are installed from package-lock.json only.
func (a *adviser) node(name, dir string) {
	for ; ; dir = path.Dir(dir) {
		if file := path.Join(dir, "package.json"); slices.Contains(a.members, file) {
			var p struct {
				Dependencies map[string]string `json:"dependencies"`
			}
			locked := slices.Contains(a.members, path.Join(dir, "package-lock.json")) || slices.ContainsFunc(a.members, func(m string) bool {
				return strings.HasPrefix(m, path.Join(dir, "node_modules")+"/")
			})
			if json.Unmarshal(a.read(file), &p) == nil && len(p.Dependencies) > 0 && !locked {
				a.warn(name, "has dependencies in %s, but no package-lock.json beside it and no node_modules", file)
			}
			return
		}
		if dir == "." {
			return
		}
	}
}

// How programs ask for macros: by reference in texts that Waybill resolves, and as environment variables.
var (
	reference = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_]*)\)`)
	variables = map[string]*regexp.Regexp{
		".py":  regexp.MustCompile(`\bos\.(?:environ\[|environ\.get\(|getenv\()\s*["']([A-Za-z_][A-Za-z0-9_]*)["']`),
		".js":  regexp.MustCompile(`\bprocess\.env(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[["']([A-Za-z_][A-Za-z0-9_]*)["']\])`),
		".sql": reference,
	}
)

// usual are variables that are there without a macro.
var usual = []string{
	"PATH", "HOME", "TMPDIR", "LANG", "TZ", "USER", "PWD", "SHELL", "JOB_ID", "JOB_CONFIG_ID", "JOB_TEMPLATE_ID", "SESSION_ID",
	"LOCAL_JOB_SPEC_DIR", "LOCAL_JOB_OUT_DIR", "PYTHONPATH", "NODE_PATH", "NODE_ENV",
}

func (a *adviser) macros(e job.EntryPoint, used map[string]string) {
	note := func(text, where string, find *regexp.Regexp) {
		for _, m := range find.FindAllStringSubmatch(text, -1) {
			for _, name := range m[1:] {
				_, set := e.Environment[name]
				if _, known := used[name]; name != "" && !known && !set && !slices.Contains(usual, name) && !strings.HasPrefix(name, "WAYBILL_") {
					used[name] = where
				}
			}
		}
	}
	for _, text := range e.Arguments {
		note(text, "the arguments of "+e.Name, reference)
	}
	for _, text := range e.Environment {
		note(text, "the environment of "+e.Name, reference)
	}
	ext := path.Ext(base(e.Path))
	if ext == ".mjs" || ext == ".cjs" {
		ext = ".js"
	}
	if find := variables[ext]; find != nil {
		note(string(a.read(e.Path)), e.Path, find)
	}
}

func (a *adviser) undeclared(used map[string]string) {
	declared := map[string]bool{}
	for _, m := range a.Manifest.Macros {
		declared[m.Name] = true
	}
	var names []string
	for name := range used {
		if !declared[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		a.warn("macro "+name, "is used in %s, but waybill.yaml does not say that it is expected", used[name])
	}
}
