package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// vars are the values that a scenario's steps hand on to each other.
type vars map[string]string

// words are the matchers that stand for a kind of value.
var words = map[string]func(any) bool{
	"$ANY":      func(v any) bool { return v != nil },
	"$MEDIUM":   isTime("Jan 2, 2006 3:04:05 PM"),
	"$RFC3339":  isTime("2006-01-02T15:04:05Z"),
	"$ID":       isText(`[0-9a-f]{24}`),
	"$NUMBER":   isText(`[0-9]+`), // an id: decimal digits in a string
	"$SHA256":   isText(`[0-9a-f]{64}`),
	"$DURATION": isText(`PT([0-9]+H)?([0-9]+M)?([0-9.]+S)?`),
	"$INT":      func(v any) bool { n, ok := v.(json.Number); return ok && !strings.ContainsAny(n.String(), ".eE") },
}

func isTime(layout string) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		_, err := time.Parse(layout, s)
		return ok && err == nil
	}
}

func isText(pattern string) func(any) bool {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	return func(v any) bool {
		s, ok := v.(string)
		return ok && re.MatchString(s)
	}
}

// match compares got with what is wanted and reports the first difference. An object may have more members than are
// wanted; a list must have as many, unless the wanted list begins with "$SOME": then each of the others must match one.
// A wanted string may be a matcher: "$ABSENT", one of words, or "$re:" and a regular expression that fits the whole
// value. " -> name" behind a matcher keeps the value as a variable.
func match(path string, want, got any, v vars) error {
	switch w := want.(type) {
	case map[string]any:
		return matchObject(path, w, got, v)
	case []any:
		return matchList(path, w, got, v)
	case string:
		if strings.HasPrefix(w, "$") {
			return matchWord(path, w, got, v)
		}
	}
	if fmt.Sprintf("%T %v", want, want) != fmt.Sprintf("%T %v", got, got) {
		return fmt.Errorf("%s is %s, want %s", path, show(got), show(want))
	}
	return nil
}

func matchObject(path string, want map[string]any, got any, v vars) error {
	g, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is %s, want an object", path, show(got))
	}
	for name, w := range want {
		value, there := g[name]
		if w == "$ABSENT" {
			if there {
				return fmt.Errorf("%s.%s is %s, want it absent", path, name, show(value))
			}
			continue
		}
		if !there {
			return fmt.Errorf("%s.%s is absent, want %s", path, name, show(w))
		}
		if err := match(path+"."+name, w, value, v); err != nil {
			return err
		}
	}
	return nil
}

func matchList(path string, want []any, got any, v vars) error {
	g, ok := got.([]any)
	if !ok {
		return fmt.Errorf("%s is %s, want a list", path, show(got))
	}
	if len(want) > 0 && want[0] == "$SOME" {
		for _, w := range want[1:] {
			var found bool
			for _, one := range g {
				found = found || match(path, w, one, v) == nil
			}
			if !found {
				return fmt.Errorf("%s is %s, none of which is %s", path, show(got), show(w))
			}
		}
		return nil
	}
	if len(g) != len(want) {
		return fmt.Errorf("%s has %d elements, want %d: %s", path, len(g), len(want), show(got))
	}
	for i := range want {
		if err := match(fmt.Sprintf("%s[%d]", path, i), want[i], g[i], v); err != nil {
			return err
		}
	}
	return nil
}

func matchWord(path, want string, got any, v vars) error {
	word, name, keep := strings.Cut(want, " -> ")
	if pattern, ok := strings.CutPrefix(word, "$re:"); ok {
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return err
		}
		if s, ok := got.(string); !ok || !re.MatchString(s) {
			return fmt.Errorf("%s is %s, want what fits %s", path, show(got), pattern)
		}
	} else if fits, known := words[word]; !known {
		return fmt.Errorf("%s: there is no matcher %s", path, word)
	} else if !fits(got) {
		return fmt.Errorf("%s is %s, want %s", path, show(got), word)
	}
	if keep {
		v[name] = fmt.Sprint(got)
	}
	return nil
}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// parse reads JSON with numbers as they are written.
func parse(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// TestMatch shows that a scenario can fail.
func TestMatch(t *testing.T) {
	t.Parallel()
	const got = `{"id":"44","name":"a","n":1,"on":true,"at":"Apr 12, 2019 12:40:51 PM","list":[{"x":1},{"x":2}],"for":"PT1M2.5S"}`
	for want, fits := range map[string]bool{
		`{}`:                              true,
		`{"id":"44","n":1,"on":true}`:     true,
		`{"id":"$NUMBER","at":"$MEDIUM"}`: true,
		`{"for":"$DURATION","n":"$INT"}`:  true,
		`{"gone":"$ABSENT"}`:              true,
		`{"name":"$re:[a-z]"}`:            true,
		`{"list":[{"x":1},{"x":2}]}`:      true,
		`{"list":["$SOME",{"x":2}]}`:      true,
		`{"id":44}`:                       false,
		`{"id":"45"}`:                     false,
		`{"n":"1"}`:                       false,
		`{"gone":"$ANY"}`:                 false,
		`{"id":"$ABSENT"}`:                false,
		`{"id":"$ID"}`:                    false,
		`{"id":"$MISTYPED"}`:              false,
		`{"at":"$RFC3339"}`:               false,
		`{"for":"$re:PT1M"}`:              false,
		`{"list":[{"x":1}]}`:              false,
		`{"list":[{"x":2},{"x":1}]}`:      false,
		`{"list":["$SOME",{"x":3}]}`:      false,
		`{"name":{"x":1}}`:                false,
		`[]`:                              false,
	} {
		w, err := parse(want)
		if err != nil {
			t.Fatal(err)
		}
		g, err := parse(got)
		if err != nil {
			t.Fatal(err)
		}
		if err := match("body", w, g, vars{}); (err == nil) != fits {
			t.Errorf("%s: %v", want, err)
		}
	}
	v := vars{}
	if err := match("body", map[string]any{"id": "$ANY -> config"}, map[string]any{"id": "44"}, v); err != nil || v["config"] != "44" {
		t.Errorf("kept %v, %v", v, err)
	}
}
