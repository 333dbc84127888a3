package archive

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"waybill/internal/job"
)

const (
	jarManifestName = "META-INF/MANIFEST.MF"
	maxJarManifest  = 1 << 20
	// maxEntryPoints bounds the list kept for a package. The shallowest members come first, so what is cut off is the
	// inside of libraries; Match over the members of an unpacked package still finds it.
	maxEntryPoints = 1000
)

// The suffixes that make a member an entry point (native.md, 5), and, when no member has one of them, those of what our own
// runtimes start.
var (
	compiledSuffixes = []string{".process.rtc", ".map.rtc"}
	sourceSuffixes   = []string{".process", ".map", ".tf.xml", ".ip.xml"}
	scriptSuffixes   = []string{".sh", ".py", ".js", ".mjs", ".cjs"}
	// Beside a script these are as a rule its libraries and data, so they count only when there is none.
	programSuffixes = []string{".jar", ".wasm", ".sql"}
)

// catalogue collects what entry points are found by.
type catalogue struct {
	key                        string // of the package
	compiled, source, runnable []string
	programs                   []string
	jarManifest                []byte
	manifests                  map[string][]byte // waybill.yaml at the top and in project folders, by name
}

func newCatalogue(key string) *catalogue { return &catalogue{key: key, manifests: map[string][]byte{}} }

// add copies the file's body to w and notes what it is. It tells whether the file can be executed as it is: by the
// archive's mode, or, since many tools store none, by its first bytes.
func (c *catalogue) add(m member, body io.Reader, w io.Writer) (executable bool, err error) {
	var head [4]byte
	n, err := io.ReadFull(body, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	if _, err := w.Write(head[:n]); err != nil {
		return false, err
	}
	if err == nil {
		switch {
		case strings.EqualFold(m.name, jarManifestName):
			c.jarManifest, err = copyKeeping(maxJarManifest, head[:n], body, w)
		case isManifest(m.name):
			err = c.addManifest(m.name, head[:n], body, w)
		default:
			err = copyAll(w, body)
		}
	} else if err == io.ErrUnexpectedEOF {
		// ReadFull says so for a tiny file and for a truncated one alike; another read tells them apart.
		_, err = body.Read(make([]byte, 1))
	}
	if isManifest(m.name) && n < len(head) && len(c.manifests) < maxManifests {
		c.manifests[m.name] = head[:n]
	}
	if err != nil && err != io.EOF {
		return false, err
	}
	start := string(head[:n])
	executable = m.executable || strings.HasPrefix(start, "#!") || start == "\x7fELF"
	c.note(m.name, executable)
	return executable, nil
}

// copyKeeping copies what follows head to w and gives the first limit bytes of it, head and a little more.
func copyKeeping(limit int64, head []byte, body io.Reader, w io.Writer) ([]byte, error) {
	var text bytes.Buffer
	text.Write(head)
	if err := copyAll(io.MultiWriter(w, &text), io.LimitReader(body, limit)); err != nil {
		return nil, err
	}
	return text.Bytes(), copyAll(w, body)
}

// note enters a file by name. Names that are no UTF-8 can not be named in a request and are left out.
func (c *catalogue) note(name string, runnable bool) {
	if !utf8.ValidString(name) {
		return
	}
	switch {
	case hasSuffix(name, compiledSuffixes):
		c.compiled = append(c.compiled, name)
	case hasSuffix(name, sourceSuffixes):
		c.source = append(c.source, name)
	case runnable || hasSuffix(name, scriptSuffixes):
		c.runnable = append(c.runnable, name)
	case hasSuffix(name, programSuffixes):
		c.programs = append(c.programs, name)
	}
}

// archive gives the result: the names of waybill.yaml, then the members that are entry points, ordered by depth, then by
// name (bytes), which does not depend on the tool that packed them.
func (c *catalogue) archive(g *guard) (job.Archive, error) {
	a := job.Archive{Main: mainAttribute(c.jarManifest, "Main-Process")}
	if name, err := cleanName(a.Main); err != nil || !utf8.ValidString(name) {
		a.Main = "" // one that could lead outside counts as absent
	} else {
		a.Main = name
	}
	var err error
	if a.Manifest, err = c.manifest(g); err != nil {
		return job.Archive{}, err
	}
	if a.Manifest != nil {
		for _, e := range a.Manifest.EntryPoints {
			a.EntryPoints = append(a.EntryPoints, e.Name)
		}
	}
	list := c.compiled
	if len(list) == 0 {
		list = c.source
	}
	if len(list) == 0 && len(a.EntryPoints) == 0 && a.Main == "" && c.isProgram(g) {
		a.Jar = path.Base(c.key)
		list = []string{a.Jar}
	}
	if len(list) == 0 && len(a.EntryPoints) == 0 {
		if list = c.runnable; len(list) == 0 {
			list = c.programs
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		if d := strings.Count(a, "/") - strings.Count(b, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	named := a.EntryPoints
	for _, name := range list {
		if len(a.EntryPoints) == maxEntryPoints {
			break
		}
		if !slices.Contains(named, name) {
			a.EntryPoints = append(a.EntryPoints, name)
		}
	}
	return a, nil
}

// isProgram tells whether the archive itself is a Java program: a .jar with a Main-Class. Whoever unpacks it puts the
// archive beside its members, so none may have its name.
func (c *catalogue) isProgram(g *guard) bool {
	base := path.Base(c.key)
	_, taken := g.nodes[base]
	return len(base) <= maxPart && isJar(base) && !taken && mainAttribute(c.jarManifest, "Main-Class") != ""
}

func hasSuffix(name string, suffixes []string) bool {
	base := strings.ToLower(path.Base(name))
	for _, suffix := range suffixes {
		if strings.HasSuffix(base, suffix) && len(base) > len(suffix) {
			return true
		}
	}
	return false
}

// mainAttribute reads an attribute from the main section of a manifest (JAR File Specification: a line that begins with a
// space continues the one before it; the first empty line ends the section). Empty: it has none.
func mainAttribute(manifest []byte, name string) string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(manifest), "\ufeff"))
	section, _, _ := strings.Cut(text, "\n\n")
	section = strings.ReplaceAll(section, "\n ", "")
	for line := range strings.SplitSeq(section, "\n") {
		key, value, found := strings.Cut(line, ":")
		if found && strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Members lists the files of an unpacked package, in byte order.
func Members(tree fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}
