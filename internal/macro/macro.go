// Package macro resolves $(NAME) references between macros. It imports the domain only.
package macro

import (
	"fmt"
	"slices"
	"strings"

	"waybill/internal/job"
)

// MaxValue is the size in bytes past which a resolved value is refused: references can double a value at every level, so
// a few short macros could otherwise fill the memory.
const MaxValue = 1 << 20

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
// leads back to itself, or a value over MaxValue, is job.Invalid.
func Resolve(macros []job.Macro, builtin map[string]string, open func(sealed string) (string, error)) ([]Resolved, error) {
	r := resolver{macros: map[string]job.Macro{}, builtin: builtin, open: open, done: map[string]Resolved{}}
	for _, m := range macros {
		r.macros[m.Key] = m
	}
	out := make([]Resolved, 0, len(macros))
	for _, m := range Merge(macros) {
		v, err := r.value(m.Key, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
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
	done    map[string]Resolved
}

func (r *resolver) value(key string, path []string) (Resolved, error) {
	if v, ok := r.done[key]; ok {
		return v, nil
	}
	if slices.Contains(path, key) {
		return Resolved{}, job.Errorf(job.Invalid, job.WordInvalidField, "Macro '%s' refers to itself", key)
	}
	m := r.macros[key]
	v := Resolved{Key: key, Value: m.Value, Secret: m.Secure}
	if m.Sealed != "" {
		opened, err := r.open(m.Sealed)
		if err != nil {
			return v, job.Wrap(err, job.Internal, job.WordInternal, "The value of macro '%s' can not be opened", key)
		}
		v.Value = opened
	}
	if err := r.expand(&v, append(path, key)); err != nil {
		return v, err
	}
	r.done[key] = v
	return v, nil
}

func (r *resolver) expand(v *Resolved, path []string) error {
	var out strings.Builder
	rest := v.Value
	for {
		before, name, after, ok := cutReference(rest)
		if !ok {
			break
		}
		out.WriteString(before)
		rest = after
		if _, known := r.macros[name]; known {
			inner, err := r.value(name, path)
			if err != nil {
				return err
			}
			out.WriteString(inner.Value)
			v.Secret = v.Secret || inner.Secret
		} else if text, known := r.builtin[name]; known {
			out.WriteString(text)
		} else {
			fmt.Fprintf(&out, "$(%s)", name)
		}
		if out.Len() > MaxValue {
			return job.Errorf(job.Invalid, job.WordInvalidField, "Macro '%s' grows beyond %d bytes", v.Key, MaxValue)
		}
	}
	out.WriteString(rest)
	v.Value = out.String()
	return nil
}

// cutReference splits around the first $(NAME). A "$(" inside a name begins anew there, so that "$($(A)" still finds A.
func cutReference(s string) (before, name, after string, ok bool) {
	from := 0
	for {
		i := strings.Index(s[from:], "$(")
		if i < 0 {
			return "", "", "", false
		}
		start := from + i
		end := strings.IndexByte(s[start:], ')')
		if end < 0 {
			return "", "", "", false
		}
		inner := s[start+2 : start+end]
		if nested := strings.Index(inner, "$("); nested >= 0 {
			from = start + 2 + nested
			continue
		}
		return s[:start], inner, s[start+end+1:], true
	}
}
