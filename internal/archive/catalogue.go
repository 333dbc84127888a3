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
	manifestName = "META-INF/MANIFEST.MF"
	maxManifest  = 1 << 20
	// maxEntryPoints bounds the list kept for a package. The shallowest members come first, so what is cut off is the
	// inside of libraries; Match over the members of an unpacked package still finds it.
	maxEntryPoints = 1000
)

// The suffixes that make a member an entry point (native.md, 5), and, when no member has one of them, those of the
// scripts our own runners start.
var (
	compiledSuffixes = []string{".process.rtc", ".map.rtc"}
	sourceSuffixes   = []string{".process", ".map", ".tf.xml", ".ip.xml"}
	scriptSuffixes   = []string{".sh", ".py", ".js", ".mjs", ".cjs"}
)

// catalogue collects what entry points are found by.
type catalogue struct {
	compiled, source, runnable []string
	manifest                   []byte
}

func newCatalogue() *catalogue { return &catalogue{} }

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
		if strings.EqualFold(m.name, manifestName) {
			err = c.addManifest(head[:n], body, w)
		} else {
			err = copyAll(w, body)
		}
	} else if err == io.ErrUnexpectedEOF {
		// ReadFull says so for a tiny file and for a truncated one alike; another read tells them apart.
		_, err = body.Read(make([]byte, 1))
	}
	if err != nil && err != io.EOF {
		return false, err
	}
	start := string(head[:n])
	executable = m.executable || strings.HasPrefix(start, "#!") || start == "\x7fELF"
	c.note(m.name, executable)
	return executable, nil
}

func (c *catalogue) addManifest(head []byte, body io.Reader, w io.Writer) error {
	var text bytes.Buffer
	text.Write(head)
	if err := copyAll(io.MultiWriter(w, &text), io.LimitReader(body, maxManifest)); err != nil {
		return err
	}
	c.manifest = text.Bytes()
	return copyAll(w, body)
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
	}
}

// archive gives the result: the entry points ordered by depth, then by name (bytes), which does not depend on the tool
// that packed them.
func (c *catalogue) archive() job.Archive {
	list := c.compiled
	if len(list) == 0 {
		list = c.source
	}
	if len(list) == 0 {
		list = c.runnable
	}
	slices.SortFunc(list, func(a, b string) int {
		if d := strings.Count(a, "/") - strings.Count(b, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	if len(list) > maxEntryPoints {
		list = slices.Clip(list[:maxEntryPoints])
	}
	return job.Archive{EntryPoints: list, Main: mainProcess(c.manifest)}
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

// mainProcess reads Main-Process from the main section of a manifest (JAR File Specification: a line that begins with a
// space continues the one before it; the first empty line ends the section). The value's backslashes become slashes; one
// that could lead outside counts as absent.
func mainProcess(manifest []byte) string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(manifest), "\ufeff"))
	section, _, _ := strings.Cut(text, "\n\n")
	section = strings.ReplaceAll(section, "\n ", "")
	for line := range strings.SplitSeq(section, "\n") {
		key, value, found := strings.Cut(line, ":")
		if !found || !strings.EqualFold(strings.TrimSpace(key), "Main-Process") {
			continue
		}
		name, err := cleanName(strings.TrimSpace(value))
		if err != nil || !utf8.ValidString(name) {
			return ""
		}
		return name
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
