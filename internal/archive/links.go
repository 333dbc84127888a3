package archive

import (
	"path"
	"strings"
)

// cleanTarget checks what can be said of a link's target by itself. A symbolic link's is kept relative; a hard link's is
// a member name.
func cleanTarget(m *member) error {
	if m.target == "" {
		return invalid("Link %s has no target", quote(m.name))
	}
	if len(m.target) > maxTarget {
		return invalid("The target of link %s is longer than %d bytes", quote(m.name), maxTarget)
	}
	if hasControl(m.target) {
		return invalid("The target of link %s has control characters", quote(m.name))
	}
	m.target = strings.ReplaceAll(m.target, `\`, "/")
	if isAbsolute(m.target) {
		return invalid("Link %s leads outside the package", quote(m.name))
	}
	if m.kind == kindHardlink {
		target, err := cleanName(m.target)
		if err != nil || target == "" {
			return invalid("Link %s leads outside the package", quote(m.name))
		}
		m.target = target
	}
	return nil
}

// checkLinks resolves every link over the whole tree, as the system would when a program follows it: through other links,
// step by step. A link that leads outside at any step, or round in a circle, is refused; one to a name that is absent is
// not, because nothing can appear there: a package is never written to.
func (g *guard) checkLinks() error {
	for _, name := range g.linked {
		n := g.nodes[name]
		if n.kind == kindHardlink {
			if target, found := g.nodes[n.target]; !found || target.kind != kindFile {
				return invalid("Link %s does not lead to a file of the package", quote(name))
			}
			continue
		}
		if err := g.follow(name); err != nil {
			return err
		}
	}
	return nil
}

// follow walks one symbolic link to its end. at is where the walk stands; rest is what is left to walk.
func (g *guard) follow(name string) error {
	at := path.Dir(name)
	rest := strings.Split(g.nodes[name].target, "/")
	for hops := 1; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return invalid("Link %s leads outside the package", quote(name))
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		n, found := g.nodes[next]
		if !found || n.kind != kindSymlink {
			at = next
			continue
		}
		if hops++; hops > maxHops {
			return invalid("Link %s leads through too many links", quote(name))
		}
		rest = append(strings.Split(n.target, "/"), rest...)
		if len(rest) > 2*maxTarget {
			return invalid("Link %s leads through too many links", quote(name))
		}
	}
	return nil
}
