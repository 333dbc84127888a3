package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"waybill/internal/job"
)

// MaxSize is how large a manifest may be, in bytes.
const MaxSize = 64 << 10

// Names are what the file may be called.
var Names = []string{"waybill.yaml", "waybill.yml"}

// Limits of a manifest: more than any package needs, and few enough for a row and a reply.
const (
	maxEntryPoints  = 100
	maxMacros       = 500
	maxMessages     = 100
	maxArguments    = 200
	maxEnvironment  = 200
	maxDependencies = 50
	maxName         = 255    // characters
	maxVersion      = 100    // characters
	maxDescription  = 10_000 // characters
	maxText         = 32_000 // characters of an argument or a value
	maxPath         = 1024   // characters
	maxDepth        = 64
)

// Limits of resources: past any machine, so that a slip of the pen is seen.
const (
	maxMemory    = 64 << 20 // MiB
	maxCPUs      = 4096
	maxProcesses = 4 << 20
	maxOpenFiles = 1 << 20
	maxDisk      = 1 << 30 // MiB
)

// Parse reads a manifest. name is what the file is called, for messages. has tells whether a path, cleaned and relative to
// the manifest's folder, is a file of the package; nil asks nothing. What is wrong is a *job.Error, Invalid,
// WordInvalidPackage, that wraps *Faults.
func Parse(name string, text []byte, has func(path string) bool) (job.Manifest, error) {
	refuse := func(faults ...Fault) (job.Manifest, error) {
		return job.Manifest{}, (&Faults{Name: name, List: faults}).invalid()
	}
	if len(text) > MaxSize {
		return refuse(Fault{Text: "it has more than " + strconv.Itoa(MaxSize) + " bytes"})
	}
	root, fault := document(text)
	if fault != nil {
		return refuse(*fault)
	}
	p := parser{has: has, entries: map[string]int{}, macros: map[string]int{}}
	if root != nil {
		p.manifest(root)
	}
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
		return refuse(p.faults...)
	}
	return p.out, nil
}

// document gives the root of the one document in the text; nil for an empty one.
func document(text []byte) (*yaml.Node, *Fault) {
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntax(err)
	case len(doc.Content) != 1:
		return nil, nil
	}
	root := doc.Content[0]
	if deeper(root, maxDepth) {
		return nil, &Fault{Text: "it is nested too deep"}
	}
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		return nil, &Fault{Line: more.Line, Text: "a second document begins; a manifest is one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	if isNull(root) {
		return nil, nil
	}
	return root, nil
}

// deeper does not follow aliases.
func deeper(n *yaml.Node, limit int) bool {
	if limit == 0 {
		return true
	}
	return slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return deeper(c, limit-1) })
}

var atLine = regexp.MustCompile(`^yaml: line (\d+): `)

// syntax turns the library's "yaml: line 3: did not find ..." into a fault.
func syntax(err error) *Fault {
	message := err.Error()
	f := &Fault{Text: "it is not YAML: " + strings.TrimPrefix(message, "yaml: ")}
	if m := atLine.FindStringSubmatch(message); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Text = "it is not YAML: " + message[len(m[0]):]
	}
	return f
}

type parser struct {
	reader
	has func(string) bool
	out job.Manifest

	entries, macros map[string]int // line by name
}

func (p *parser) manifest(n *yaml.Node) {
	p.object(n, "", members{
		"name":        func(n *yaml.Node, at string) { p.out.Name = p.line(n, at, maxName) },
		"version":     func(n *yaml.Node, at string) { p.out.Version = p.line(n, at, maxVersion) },
		"description": func(n *yaml.Node, at string) { p.out.Description = p.text(n, at, maxDescription) },
		"entryPoints": func(n *yaml.Node, at string) { p.list(n, at, maxEntryPoints, p.entryPoint) },
		"macros":      func(n *yaml.Node, at string) { p.list(n, at, maxMacros, p.macro) },
		"messages":    p.messages,
		"resources":   func(n *yaml.Node, at string) { p.out.Resources = p.resources(n, at) },
	})
}

func (p *parser) entryPoint(n *yaml.Node, at string) {
	var e job.EntryPoint
	given := p.object(n, at, members{
		"name":        func(n *yaml.Node, at string) { e.Name = p.name(n, at, p.entries) },
		"path":        func(n *yaml.Node, at string) { e.Path = p.path(n, at) },
		"runtime":     func(n *yaml.Node, at string) { e.Runtime = p.runtime(n, at) },
		"arguments":   func(n *yaml.Node, at string) { e.Arguments = p.texts(n, at, maxArguments, maxText) },
		"environment": func(n *yaml.Node, at string) { e.Environment = p.environment(n, at) },
		"dependencies": func(n *yaml.Node, at string) {
			p.list(n, at, maxDependencies, func(n *yaml.Node, at string) { e.Dependencies = append(e.Dependencies, p.path(n, at)) })
		},
		"resources": func(n *yaml.Node, at string) { e.Resources = p.resources(n, at) },
	})
	if given["path"] == nil || isNull(given["path"]) {
		p.faultf(n, join(at, "path"), "is required")
	}
	if e.Name == "" { // its path names it
		if e.Name = e.Path; e.Name != "" {
			p.once(n, at, e.Name, p.entries)
		}
	}
	p.out.EntryPoints = append(p.out.EntryPoints, e)
}

// name reads a name that only one may have.
func (p *parser) name(n *yaml.Node, at string, taken map[string]int) string {
	s := p.line(n, at, maxName)
	if s != strings.TrimSpace(s) || s == "" {
		p.faultf(n, at, "is empty, or begins or ends with a blank")
		return ""
	}
	p.once(n, at, s, taken)
	return s
}

func (p *parser) once(n *yaml.Node, at, name string, taken map[string]int) {
	if line, twice := taken[name]; twice {
		p.faultf(n, at, "%s is there twice; first in line %d", show(name), line)
		return
	}
	taken[name] = n.Line
}

// path reads the path of a file of the package.
func (p *parser) path(n *yaml.Node, at string) string {
	s := strings.ReplaceAll(p.line(n, at, maxPath), `\`, "/")
	if s == "" {
		if n.Value == "" && n.Kind == yaml.ScalarNode {
			p.faultf(n, at, "is empty")
		}
		return ""
	}
	drive := len(s) >= 2 && s[1] == ':'
	if strings.HasPrefix(s, "/") || drive || slices.Contains(strings.Split(s, "/"), "..") {
		p.faultf(n, at, "%s is not a path inside the package", show(s))
		return ""
	}
	s = path.Clean(s)
	if p.has != nil && !p.has(s) {
		p.faultf(n, at, "%s is not a file of the package", show(s))
		return ""
	}
	return s
}

var runtimeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// runtime reads a name. Which ones there are is up to the worker, whose settings may add some.
func (p *parser) runtime(n *yaml.Node, at string) string {
	s := p.line(n, at, maxName)
	if !runtimeName.MatchString(s) {
		p.faultf(n, at, "is not the name of a runtime")
		return ""
	}
	return s
}

func (p *parser) texts(n *yaml.Node, at string, limit, size int) (out []string) {
	p.list(n, at, limit, func(n *yaml.Node, at string) { out = append(out, p.text(n, at, size)) })
	return out
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`)

func (p *parser) environment(n *yaml.Node, at string) map[string]string {
	if n.Kind == yaml.MappingNode && len(n.Content) > 2*maxEnvironment {
		p.faultf(n, at, "has more than %d members", maxEnvironment)
		return nil
	}
	out := map[string]string{}
	p.each(n, at, func(key, value *yaml.Node) {
		name := join(at, show(key.Value))
		switch {
		case !variableName.MatchString(key.Value):
			p.faultf(key, name, "is not the name of an environment variable")
		case own(key.Value):
			p.faultf(key, name, "is a name of Waybill's own")
		case !p.usable(value, name):
		case isNull(value):
			out[key.Value] = ""
		default:
			out[key.Value] = p.text(value, name, maxText)
		}
	})
	return out
}

// own tells whether Waybill sets the variable itself.
func own(name string) bool {
	return slices.Contains([]string{"JOB_ID", "JOB_CONFIG_ID", "JOB_TEMPLATE_ID", "SESSION_ID", "LOCAL_JOB_SPEC_DIR", "LOCAL_JOB_OUT_DIR"}, name) ||
		strings.HasPrefix(name, "WAYBILL_")
}

func (p *parser) macro(n *yaml.Node, at string) {
	var m job.MacroRule
	given := p.object(n, at, members{
		"name":        func(n *yaml.Node, at string) { m.Name = p.macroName(n, at) },
		"description": func(n *yaml.Node, at string) { m.Description = p.text(n, at, maxDescription) },
		"default": func(n *yaml.Node, at string) {
			value := p.text(n, at, maxText)
			m.Default = &value
		},
		"required": func(n *yaml.Node, at string) { m.Required = p.flag(n, at) },
		"secure":   func(n *yaml.Node, at string) { m.Secure = p.flag(n, at) },
	})
	if given["name"] == nil || isNull(given["name"]) {
		p.faultf(n, join(at, "name"), "is required")
	}
	if m.Secure && m.Default != nil {
		p.faultf(given["default"], join(at, "default"), "is given for a secure macro: a secret has no place in a package")
	}
	p.out.Macros = append(p.out.Macros, m)
}

func (p *parser) macroName(n *yaml.Node, at string) string {
	s := p.name(n, at, p.macros)
	switch {
	case strings.ContainsAny(s, "=$()"):
		p.faultf(n, at, "holds one of = $ ( )")
	case own(s):
		p.faultf(n, at, "%s is a name of Waybill's own", show(s))
	}
	return s
}

func (p *parser) messages(n *yaml.Node, at string) {
	names := func(to *[]string) func(n *yaml.Node, at string) {
		return func(n *yaml.Node, at string) {
			taken := map[string]int{}
			p.list(n, at, maxMessages, func(n *yaml.Node, at string) {
				s := p.name(n, at, taken)
				if s != "" && !job.ValidMessageName(s) {
					p.faultf(n, at, "%s can not be a message's: it has at most 255 bytes, no slashes, and is not files", show(s))
				}
				*to = append(*to, s)
			})
		}
	}
	p.object(n, at, members{"in": names(&p.out.InMessages), "out": names(&p.out.OutMessages)})
}

func (p *parser) resources(n *yaml.Node, at string) (out job.Resources) {
	p.object(n, at, members{
		"memoryMiB": func(n *yaml.Node, at string) { out.MemoryMiB = p.whole(n, at, maxMemory) },
		"cpus":      func(n *yaml.Node, at string) { out.CPUs = p.number(n, at, maxCPUs) },
		"processes": func(n *yaml.Node, at string) { out.Processes = p.whole(n, at, maxProcesses) },
		"openFiles": func(n *yaml.Node, at string) { out.OpenFiles = p.whole(n, at, maxOpenFiles) },
		"diskMiB":   func(n *yaml.Node, at string) { out.DiskMiB = p.whole(n, at, maxDisk) },
		"network": func(n *yaml.Node, at string) {
			if out.Network = job.Network(n.Value); out.Network != job.NetworkFull && out.Network != job.NetworkNone {
				p.faultf(n, at, "is neither full nor none")
				out.Network = ""
			}
		},
	})
	return out
}
