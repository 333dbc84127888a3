// Package macro resolves $(NAME) references between macros. It imports the domain only.
package macro

import (
	"strings"

	"waybill/internal/job"
)

// Limits of resolving: references can double a value at every level, so a few short macros could otherwise fill the memory, and
// all values are in memory at once.
const (
	MaxValue = 1 << 20 // bytes of one resolved value
	MaxTotal = 4 << 20 // bytes of all of them
	MaxDepth = 100     // macros in a row of which each refers to the next
)

// Merge lays later lists over earlier ones by key; order of first appearance is kept.
func Merge(lists ...[]job.Macro) []job.Macro {
	var out []job.Macro
	at := map[string]int{}
	for _, list := range lists {
		for _, m := range list {
			if i, ok := at[m.Key]; ok {
				out[i] = m
				continue
			}
			at[m.Key] = len(out)
			out = append(out, m)
		}
	}
	return out
}

// Resolved is a macro with its final value. Secret is set when it is secure or took a secure value in by reference.
type Resolved struct {
	Key    string
	Value  string
	Secret bool
}

// Resolve replaces every $(NAME) whose NAME is the key of a macro or of builtin, at any depth. A reference to an unknown
// name stays as it is: programs have parentheses of their own. open gives the value of a sealed macro. A reference that
// leads back to itself, and what is over a limit, is job.Invalid. The value of a literal macro is taken as it is, and so gets it what refers to it.
func Resolve(macros []job.Macro, builtin map[string]string, open func(sealed string) (string, error)) ([]Resolved, error) {
	r := resolver{macros: map[string]job.Macro{}, builtin: builtin, open: open, done: map[string]*known{}, left: MaxTotal}
	for _, m := range macros {
		r.macros[m.Key] = m
	}
	out := make([]Resolved, 0, len(macros))
	for _, m := range Merge(macros) {
		v, err := r.value(m.Key, 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v.Resolved)
	}
	return out, nil
}

// Check tells what Resolve would refuse, without opening anything.
func Check(macros []job.Macro) error {
	_, err := Resolve(macros, nil, func(string) (string, error) { return "", nil })
	return err
}

type resolver struct {
	macros  map[string]job.Macro
	builtin map[string]string
	open    func(string) (string, error)
	done    map[string]*known
	left    int // bytes that values may still have
}

// known is a macro that was come upon. The depth is that of what it refers to and itself: it does not depend on where resolving
// began, or a list would be refused in one order and taken in another.
type known struct {
	Resolved
	resolved bool
	depth    int
}

func (r *resolver) value(key string, above int) (*known, error) {
	if v, ok := r.done[key]; ok {
		if !v.resolved {
			return nil, job.Errorf(job.Invalid, job.WordInvalidField, "Macro '%s' refers to itself", key)
		}
		return v, nil
	}
	if above > MaxDepth {
		return nil, tooDeep(key)
	}
	m := r.macros[key]
	v := &known{Resolved: Resolved{Key: key, Secret: m.Secure}, depth: 1}
	r.done[key] = v
	text := m.Value
	if m.Sealed != "" {
		opened, err := r.open(m.Sealed)
		if err != nil {
			return nil, job.Wrap(err, job.Internal, job.WordInternal, "The value of macro '%s' can not be opened", key)
		}
		text = opened
	}
	if err := r.expand(v, text, m.Literal, above); err != nil {
		return nil, err
	}
	v.resolved = true
	return v, nil
}

func tooDeep(key string) error {
	return job.Errorf(job.Invalid, job.WordInvalidField, "Macro '%s' is in a chain of more than %d references", key, MaxDepth)
}

func (r *resolver) expand(v *known, text string, literal bool, above int) error {
	var out strings.Builder
	write := func(piece string) error {
		if out.Len()+len(piece) > MaxValue {
			return job.Errorf(job.Invalid, job.WordInvalidField, "Macro '%s' grows beyond %d bytes", v.Key, MaxValue)
		}
		if r.left -= len(piece); r.left < 0 {
			return job.Errorf(job.Invalid, job.WordInvalidField, "The values of all macros together grow beyond %d bytes", MaxTotal)
		}
		_, _ = out.WriteString(piece)
		return nil
	}
	for !literal {
		before, name, after, ok := cutReference(text)
		if !ok {
			break
		}
		if err := write(before); err != nil {
			return err
		}
		text = after
		piece, err := r.referred(v, name, above)
		if err == nil {
			err = write(piece)
		}
		if err != nil {
			return err
		}
	}
	if err := write(text); err != nil {
		return err
	}
	v.Value = out.String()
	return nil
}

// referred is what stands for $(name) in v.
func (r *resolver) referred(v *known, name string, above int) (string, error) {
	if _, is := r.macros[name]; is {
		inner, err := r.value(name, above+1)
		if err != nil {
			return "", err
		}
		v.Secret = v.Secret || inner.Secret
		if v.depth = max(v.depth, inner.depth+1); v.depth > MaxDepth {
			return "", tooDeep(v.Key)
		}
		return inner.Value, nil
	}
	if text, is := r.builtin[name]; is {
		return text, nil
	}
	return "$(" + name + ")", nil
}

// cutReference splits around the first $(NAME). A "$(" inside a name begins anew there, so that "$($(A)" still finds A.
func cutReference(s string) (before, name, after string, ok bool) {
	first := strings.Index(s, "$(")
	if first < 0 {
		return "", "", "", false
	}
	length := strings.IndexByte(s[first:], ')')
	if length < 0 {
		return "", "", "", false
	}
	end := first + length
	start := first + strings.LastIndex(s[first:end], "$(")
	return s[:start], s[start+2 : end], s[end+1:], true
}
