package manifest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// reader walks the nodes of a manifest and notes every fault it meets. What it gives for a faulty node is the zero value,
// so that the walk can go on.
type reader struct{ faults []Fault }

// members are the members an object may have, each with what reads it.
type members map[string]func(n *yaml.Node, at string)

func (r *reader) faultf(n *yaml.Node, at, format string, args ...any) {
	r.faults = append(r.faults, Fault{Line: n.Line, Member: at, Text: fmt.Sprintf(format, args...)})
}

// usable refuses what YAML has beyond plain data.
func (r *reader) usable(n *yaml.Node, at string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.faultf(n, at, "uses an anchor or an alias, which a manifest can not have")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.faultf(n, at, "has the tag %s, which a manifest can not have", show(n.Tag))
		return false
	}
	return true
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// object reads a mapping with known members. A member without a value counts as left out.
func (r *reader) object(n *yaml.Node, at string, known members) (given map[string]*yaml.Node) {
	given = map[string]*yaml.Node{}
	if isNull(n) {
		return given
	}
	r.each(n, at, func(key, value *yaml.Node) {
		name := join(at, key.Value)
		read, ok := known[key.Value]
		if !ok {
			r.faultf(key, join(at, show(key.Value)), "is not known; the members are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			return
		}
		given[key.Value] = value
		if r.usable(value, name) && !isNull(value) {
			read(value, name)
		}
	})
	return given
}

// each calls yield for the pairs of a mapping whose keys are sound.
func (r *reader) each(n *yaml.Node, at string, yield func(key, value *yaml.Node)) {
	if !r.usable(n, at) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.faultf(n, at, "is %s, not an object", kindOf(n))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch line, twice := first[key.Value]; {
		case !r.usable(key, at):
		case key.Kind != yaml.ScalarNode:
			r.faultf(key, at, "has a member whose name is no text")
		case twice:
			r.faultf(key, join(at, show(key.Value)), "is there twice; first in line %d", line)
		default:
			first[key.Value] = key.Line
			yield(key, value)
		}
	}
}

// list reads a sequence of at most limit items.
func (r *reader) list(n *yaml.Node, at string, limit int, item func(n *yaml.Node, at string)) {
	if n.Kind != yaml.SequenceNode {
		r.faultf(n, at, "is %s, not a list", kindOf(n))
		return
	}
	if len(n.Content) > limit {
		r.faultf(n, at, "has more than %d items", limit)
		return
	}
	for i, one := range n.Content {
		name := at + "[" + strconv.Itoa(i) + "]"
		if !r.usable(one, name) {
			continue
		}
		if isNull(one) {
			r.faultf(one, name, "is empty")
			continue
		}
		item(one, name)
	}
}

// text reads a scalar as it is written: 1.10 is a version and 007 a macro's value, not numbers.
func (r *reader) text(n *yaml.Node, at string, limit int) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.faultf(n, at, "is %s, not a text", kindOf(n))
	case !utf8.ValidString(n.Value) || strings.ContainsRune(n.Value, 0) || n.Tag == "!!binary":
		r.faultf(n, at, "is not text")
	case utf8.RuneCountInString(n.Value) > limit:
		r.faultf(n, at, "has more than %d characters", limit)
	default:
		return n.Value
	}
	return ""
}

// line is text without control characters.
func (r *reader) line(n *yaml.Node, at string, limit int) string {
	s := r.text(n, at, limit)
	if strings.ContainsFunc(s, unicode.IsControl) {
		r.faultf(n, at, "holds control characters")
		return ""
	}
	return s
}

// flag reads a truth value.
func (r *reader) flag(n *yaml.Node, at string) bool {
	var v bool
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(&v) != nil {
		r.faultf(n, at, "is neither true nor false")
	}
	return v
}

// whole reads a number from 1 to limit.
func (r *reader) whole(n *yaml.Node, at string, limit int) int {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || v < 1 || v > limit {
		r.faultf(n, at, "is not a whole number from 1 to %d", limit)
		return 0
	}
	return v
}

// number reads a number above 0, limit at most.
func (r *reader) number(n *yaml.Node, at string, limit float64) float64 {
	v, err := strconv.ParseFloat(n.Value, 64)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" || err != nil || math.IsNaN(v) || v <= 0 || v > limit {
		r.faultf(n, at, "is not a number above 0, %g at most", limit)
		return 0
	}
	return v
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "empty"
	default:
		return "a single value"
	}
}

// show cuts what an author wrote to what a message may repeat.
func show(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, s), "?")
	if runes := []rune(s); len(runes) > 64 {
		s = string(runes[:64]) + "..."
	}
	return "'" + s + "'"
}
