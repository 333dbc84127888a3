package archive

import (
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"waybill/internal/job"
	"waybill/internal/manifest"
)

// maxManifests bounds how many manifests are kept until it is known which one counts.
const maxManifests = 16

// isManifest tells whether a member may be the package's waybill.yaml: it lies at the top or in a project folder, the first
// part of a path, as entry points may.
func isManifest(name string) bool {
	return slices.Contains(manifest.Names, path.Base(name)) && strings.Count(name, "/") <= 1 && utf8.ValidString(name)
}

func (c *catalogue) addManifest(name string, head []byte, body io.Reader, w io.Writer) error {
	if strings.Contains(name, "/") && len(c.manifests) >= maxManifests {
		return copyAll(w, body)
	}
	text, err := copyKeeping(manifest.MaxSize+1, head, body, w)
	c.manifests[name] = text
	return err
}

// link refuses a manifest that is a link: what it says would depend on the order of the members.
func (c *catalogue) link(m member) error {
	if m.kind != kindDir && isManifest(m.name) {
		return invalid("Member %s is a link; the manifest has to be a file", quote(m.name))
	}
	return nil
}

// manifest reads the package's waybill.yaml: the one at the top, else the only one in a folder. nil: there is none.
func (c *catalogue) manifest(g *guard) (*job.Manifest, error) {
	names := slices.Sorted(maps.Keys(c.manifests))
	top := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.Contains(name, "/") })
	if len(top) > 0 {
		names = top
	}
	switch len(names) {
	case 0:
		return nil, nil
	case 1:
	default:
		return nil, invalid("The package has more than one manifest: %s; it can have one, at its top or in its only folder", sample(names))
	}
	name := names[0]
	folder := path.Dir(name)
	m, err := manifest.Parse(name, c.manifests[name], func(file string) bool {
		n, found := g.nodes[path.Join(folder, file)]
		return found && n.kind != kindDir
	})
	if err != nil {
		return nil, err
	}
	if folder != "." {
		m.Folder = folder
	}
	for i := range m.EntryPoints {
		e := &m.EntryPoints[i]
		if e.Name == e.Path { // nobody named it otherwise
			e.Name = path.Join(folder, e.Name)
		}
		e.Path = path.Join(folder, e.Path)
		for k := range e.Dependencies {
			e.Dependencies[k] = path.Join(folder, e.Dependencies[k])
		}
	}
	return &m, nil
}
