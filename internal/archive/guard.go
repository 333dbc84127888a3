package archive

import (
	"context"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName   = 1024 // bytes of a member's name; leaves room for the folder in front of it in PATH_MAX
	maxPart   = 255  // bytes between two slashes, NAME_MAX
	maxTarget = 1024 // bytes of a link's target
	maxHops   = 40   // links followed in a row, as Linux does
)

// guard keeps what has been seen of an archive and refuses what breaks a rule.
type guard struct {
	ctx      context.Context
	limits   Limits
	packed   int64
	unpacked int64
	members  int
	nodes    map[string]node // by normalised name
	linked   []string        // names of links, in the archive's order
}

// node is a place in the tree. implied folders come from the names of what lies below them.
type node struct {
	kind    kind
	implied bool
	target  string
}

func newGuard(ctx context.Context, packed int64, l Limits) *guard {
	return &guard{ctx: ctx, limits: l, packed: packed, nodes: map[string]node{}}
}

// count takes one more member.
func (g *guard) count() error {
	g.members++
	if g.members > g.limits.Members {
		return g.tooMany()
	}
	return nil
}

func (g *guard) tooMany() error {
	return invalid("The package has more than %d members", g.limits.Members)
}

// grow takes n more unpacked bytes.
func (g *guard) grow(n int64) error {
	g.unpacked += n
	if g.unpacked > g.limits.Unpacked {
		return invalid("The package unpacks to more than %d bytes", g.limits.Unpacked)
	}
	if g.unpacked > g.limits.RatioFrom && float64(g.unpacked) > g.limits.Ratio*float64(g.packed) {
		return invalid("The package unpacks to more than %g times its size", g.limits.Ratio)
	}
	return nil
}

// counted passes r through, counting its bytes against the limits.
func (g *guard) counted(r io.Reader) io.Reader { return &countedReader{g: g, r: r} }

type countedReader struct {
	g *guard
	r io.Reader
}

func (c *countedReader) Read(p []byte) (int, error) {
	if err := c.g.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if limit := c.g.grow(int64(n)); limit != nil {
		return n, limit
	}
	return n, err
}

// place enters a member into the tree: its name must be new, and everything above it must be a folder. A folder that is
// only implied so far may still be named once.
func (g *guard) place(m member) error {
	if old, taken := g.nodes[m.name]; taken {
		switch {
		case old.kind == kindDir && old.implied && m.kind == kindDir:
		case old.kind == m.kind:
			return invalid("Member %s occurs twice", quote(m.name))
		default:
			return invalid("Member %s occurs as two different things", quote(m.name))
		}
	}
	for dir := path.Dir(m.name); dir != "."; dir = path.Dir(dir) {
		above, taken := g.nodes[dir]
		if !taken {
			if len(g.nodes) > 2*g.limits.Members { // deep names imply folders by the hundred
				return invalid("The package has more than %d members and folders", 2*g.limits.Members)
			}
			g.nodes[dir] = node{kind: kindDir, implied: true}
			continue
		}
		if above.kind != kindDir {
			return invalid("Member %s lies below %s, which is not a folder", quote(m.name), quote(dir))
		}
		break // everything above was checked when dir was placed
	}
	g.nodes[m.name] = node{kind: m.kind, target: m.target}
	if m.kind == kindSymlink || m.kind == kindHardlink {
		g.linked = append(g.linked, m.name)
	}
	return nil
}

// cleanName normalises a member's name: backslashes become slashes, "./" and doubled slashes go. It returns "" for the
// archive's own root folder. Whatever could lead outside is refused, not repaired.
func cleanName(raw string) (string, error) {
	if raw == "" {
		return "", invalid("A member has no name")
	}
	if len(raw) > maxName {
		return "", invalid("Member name %s is longer than %d bytes", quote(raw), maxName)
	}
	if hasControl(raw) {
		return "", invalid("Member name %s has control characters", quote(raw))
	}
	name := strings.ReplaceAll(raw, `\`, "/")
	if isAbsolute(name) {
		return "", invalid("Member name %s is absolute", quote(raw))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", invalid("Member name %s leads outside the package", quote(raw))
		}
		if len(part) > maxPart {
			return "", invalid("Member name %s has a part longer than %d bytes", quote(raw), maxPart)
		}
	}
	if name = path.Clean(name); name == "." {
		return "", nil
	}
	return name, nil
}

// isAbsolute takes both "/x" and "C:/x" (and "C:x", which Windows resolves against another folder) for absolute.
func isAbsolute(name string) bool {
	if strings.HasPrefix(name, "/") {
		return true
	}
	return len(name) >= 2 && name[1] == ':' && (name[0]|0x20 >= 'a' && name[0]|0x20 <= 'z')
}

// hasControl finds NUL, the other C0 and C1 controls and DEL. Names need not be UTF-8 (old zip tools write code page
// 437); single bytes that are none pass.
func hasControl(s string) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if (r != utf8.RuneError || n > 1) && unicode.IsControl(r) {
			return true
		}
		i += n
	}
	return false
}
