package native

import (
	"encoding/json"
	"strings"
	"testing"

	"waybill/internal/job"
)

// text writes a condition so that a test can show it.
func text(e job.Expr) string {
	join := func(members []job.Expr, with string) string {
		var parts []string
		for _, m := range members {
			parts = append(parts, text(m))
		}
		return "(" + strings.Join(parts, with) + ")"
	}
	switch e := e.(type) {
	case nil:
		return ""
	case job.And:
		return join(e, " and ")
	case job.Or:
		return join(e, " or ")
	case job.Compare:
		var values []string
		for _, v := range e.Values {
			values = append(values, "<"+v.(string)+">")
		}
		return e.Property + " " + string(e.Op) + strings.Join(values, "")
	}
	return "?"
}

func TestFilterGrammar(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ filterby, operators, filter, want string }{
		"nothing":                         {"", "", "", ""},
		"one":                             {"name", "eq", "x", "name eq<x>"},
		"comma is and":                    {"a,b", "eq,ne", "1,2", "(a eq<1> and b ne<2>)"},
		"pipe is or":                      {"a,b", "eq|ne", "1,2", "(a eq<1> or b ne<2>)"},
		"and binds tighter":               {"a,b,c", "eq|eq,eq", "1,2,3", "(a eq<1> or (b eq<2> and c eq<3>))"},
		"parentheses":                     {"a,b,c", "(eq|eq),eq", "1,2,3", "((a eq<1> or b eq<2>) and c eq<3>)"},
		"nested parentheses":              {"a,b,c", "((lt),(gt|lte))", "1,2,3", "(a lt<1> and (b gt<2> or c lte<3>))"},
		"blanks and case":                 {" a , b ", " EQ , Gte ", "1,2", "(a eq<1> and b gte<2>)"},
		"a set":                           {"a,b", "in,!in", `1|2\|3,4`, "(a in<1><2|3> and b !in<4>)"},
		"escapes":                         {"a", "eq", `x\,y\|z\\\q`, `a eq<x,y|z\\q>`},
		"a pipe means nothing to eq":      {"a", "like", "x|y", "a like<x|y>"},
		"null takes nothing":              {"a,b", "null,eq", "x", "(a null and b eq<x>)"},
		"null may leave a place":          {"a,b", "!null,eq", ",x", "(a !null and b eq<x>)"},
		"null alone":                      {"a", "null", "", "a null"},
		"an empty value":                  {"a", "eq", "", "a eq<>"},
		"the same property twice":         {"a,a", "gt,lt", "1,2", "(a gt<1> and a lt<2>)"},
		"child fields":                    {"createdByUser.name", "!like", "x", "createdByUser.name !like<x>"},
		"a filter alone":                  {"", "", `x\,y`, "(id like<x,y> or name like<x,y>)"},
		"unlike percent, all is literal":  {"a", "like", "%_", "a like<%_>"},
		"and in or in and":                {"a,b,c,d", "eq,(eq|(eq,eq))", "1,2,3,4", "(a eq<1> and (b eq<2> or (c eq<3> and d eq<4>)))"},
		"a backslash at the end":          {"a", "eq", `x\`, `a eq<x\>`},
		"parentheses around everything":   {"a", "(((eq)))", "1", "a eq<1>"},
		"long chains stay flat":           {"a,b,c", "eq,eq,eq", "1,2,3", "(a eq<1> and b eq<2> and c eq<3>)"},
		"a property may hold no comma":    {`a\,b`, "eq", "1", "a,b eq<1>"},
		"null with all places left empty": {"a,b", "null,!null", ",", "(a null and b !null)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, echo, err := parseFilter(c.filterby, c.operators, c.filter, []string{"id", "name"}, compareText)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(e); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if (echo == nil) != (e == nil) {
				t.Errorf("echo %v", echo)
			}
		})
	}
}

func TestFilterFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ filterby, operators, filter string }{
		"more properties than operators": {"a,b", "eq", "1,2"},
		"more operators than properties": {"a", "eq,eq", "1,2"},
		"too few values":                 {"a,b", "eq,eq", "1"},
		"too many values":                {"a", "eq", "1,2"},
		"no operators":                   {"a", "", "1"},
		"no properties":                  {"", "eq", "1"},
		"unknown operator":               {"a", "equals", "1"},
		"open parenthesis":               {"a", "(eq", "1"},
		"close parenthesis":              {"a", "eq)", "1"},
		"empty parentheses":              {"a", "()", "1"},
		"two operators, no separator":    {"a,b", "(eq)(eq)", "1,2"},
		"trailing separator":             {"a", "eq,", "1"},
		"empty property":                 {"a,,b", "eq,eq,eq", "1,2,3"},
		"deep nesting":                   {"a", strings.Repeat("(", 10000) + "eq" + strings.Repeat(")", 10000), "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := parseFilter(c.filterby, c.operators, c.filter, nil, compareText); job.WordOf(err) != job.WordInvalidField {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestFilterEcho(t *testing.T) {
	t.Parallel()
	_, echo, err := parseFilter("a,b,c", "(eq|like),!in", "1,2,3|4", nil, compareText)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(echo)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"and":true,"or":false,"filters":[{"fieldName":"c","operator":"!in","values":["3","4"]}],"subfilters":[` +
		`{"and":false,"or":true,"filters":[{"fieldName":"a","operator":"eq","value":"1"},{"fieldName":"b","operator":"contains","value":"2"}]}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// leaves counts the comparisons of a condition.
func leaves(e job.Expr) int {
	n := 0
	switch e := e.(type) {
	case job.And:
		for _, m := range e {
			n += leaves(m)
		}
	case job.Or:
		for _, m := range e {
			n += leaves(m)
		}
	case job.Compare:
		n = 1
	}
	return n
}

func FuzzFilter(f *testing.F) {
	f.Add("a,b,c", "(eq|ne),in", `1,2,3|4\|5`)
	f.Add("", "", `x\,y`)
	f.Add("a", "((null))", "")
	f.Add(`a\,b`, "!like", `\\`)
	f.Add("a,b", "eq|", ",")
	f.Fuzz(func(t *testing.T, filterby, operators, filter string) {
		e, echo, err := parseFilter(filterby, operators, filter, []string{"id", "name"}, compareText)
		if err != nil {
			if job.CodeOf(err) != job.Invalid {
				t.Fatalf("not the caller's fault: %v", err)
			}
			return
		}
		want := 0
		switch {
		case filterby != "" || operators != "":
			want = len(splitList(filterby, ','))
		case filter != "":
			want = 2
		}
		if leaves(e) != want {
			t.Fatalf("%d comparisons of %d properties", leaves(e), want)
		}
		if (echo == nil) != (want == 0) {
			t.Fatalf("echo %v", echo)
		}
		if _, err := json.Marshal(echo); err != nil {
			t.Fatal(err)
		}
	})
}
