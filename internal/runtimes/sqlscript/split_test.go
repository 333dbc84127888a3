package sqlscript

import (
	"slices"
	"strings"
	"testing"
)

func TestStatementsAreFoundWhereTheyEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect Dialect
		script  string
		want    []string
	}{
		{"plain", PostgreSQL, "select 1;\n\nselect 2 ; ;; ", []string{"select 1", "select 2"}},
		{"no delimiter at the end", SQLite, "select 1;\nselect 2", []string{"select 1", "select 2"}},
		{"comments", PostgreSQL, "-- a; b\n/* c; /* d; */ e; */ select 1 -- f; g\n, 2; -- h", []string{"select 1 -- f; g\n, 2"}},
		{"comments do not nest", SQLite, "/* a /* b */ select 1;", []string{"select 1"}},
		{"strings", PostgreSQL, `select 'a;''b;', "c;""d", E'\';', 'e\'; select 2`, []string{`select 'a;''b;', "c;""d", E'\';', 'e\'`, "select 2"}},
		{"MySQL's strings", MySQL, "select 'a\\';', \"b\\\";\", `c;`; # d; e\nselect 2; -- f;\nselect 3--1;", []string{"select 'a\\';', \"b\\\";\", `c;`", "select 2", "select 3--1"}},
		{"MySQL's own comments", MySQL, "/*!40101 SET NAMES utf8 */; select 1", []string{"/*!40101 SET NAMES utf8 */", "select 1"}},
		{"SQLite's names", SQLite, "select [a;b], `c;`; select 2", []string{"select [a;b], `c;`", "select 2"}},
		{"dollar quotes", PostgreSQL, "do $$ begin perform 1; end $$; create function f() returns int as $x$ select $$;$$; $x$ language sql; select $1;",
			[]string{"do $$ begin perform 1; end $$", "create function f() returns int as $x$ select $$;$$; $x$ language sql", "select $1"}},
		{"a dollar in a name", PostgreSQL, "select a$b$; select 2", []string{"select a$b$", "select 2"}},
		{"SQL bodies", PostgreSQL, "create function f() returns int begin atomic select case when true then 1 else 2 end; select 2; end; begin; select 1; end;",
			[]string{"create function f() returns int begin atomic select case when true then 1 else 2 end; select 2; end", "begin", "select 1", "end"}},
		{"triggers", SQLite, "create temp trigger t after insert on a begin update b set x = case when 1 then 2 end; delete from c; end; select 1;",
			[]string{"create temp trigger t after insert on a begin update b set x = case when 1 then 2 end; delete from c; end", "select 1"}},
		{"routines", MySQL, "create procedure p() begin declare i int; if 1 then begin select 1; end; end if; while i < 2 do set i = 3; end while; case i when 1 then select 2; end case; end; call p();",
			[]string{"create procedure p() begin declare i int; if 1 then begin select 1; end; end if; while i < 2 do set i = 3; end while; case i when 1 then select 2; end case; end", "call p()"}},
		{"delimiters", MySQL, "delimiter //\ncreate procedure p() if 1 then select ';'; end if//\nDELIMITER ;\nselect 1;", []string{"create procedure p() if 1 then select ';'; end if", "select 1"}},
		{"a table named like a word", SQLite, "create table trigger_log (begin_at text); select 1", []string{"create table trigger_log (begin_at text)", "select 1"}},
		{"a mark in front", SQLite, "\ufeffselect 1", []string{"select 1"}},
		{"nothing", SQLite, " \n-- only a comment\n;", nil},
	} {
		found, err := Split(c.script, c.dialect)
		var got []string
		for _, st := range found {
			got = append(got, st.Text)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestLinesDirectivesAndParameters(t *testing.T) {
	found, err := Split("-- a comment\n\nselect :A, ':NO', x::int, y[1:n], :A::int,\n :B_2;\n-- waybill: csv=a/b.csv rows=3\nselect '\n' || :A", PostgreSQL)
	if err != nil || len(found) != 2 || found[0].Line != 3 || found[1].Line != 6 {
		t.Fatalf("%+v %v", found, err)
	}
	value := func(name string) (string, bool) { return "v" + name, name != "C" }
	text, args, err := found[0].bind(PostgreSQL, value)
	if err != nil || text != "select $1, ':NO', x::int, y[1:n], $1::int,\n $2" || len(args) != 2 || args[0] != "vA" || args[1] != "vB_2" {
		t.Errorf("%q %v %v", text, args, err)
	}
	if text, args, err = found[0].bind(MySQL, value); err != nil || !strings.HasPrefix(text, "select ?, ':NO'") || len(args) != 3 {
		t.Errorf("%q %v %v", text, args, err)
	}
	if d := found[1].Directives; d["csv"] != "a/b.csv" || d["rows"] != "3" || len(found[0].Directives) != 0 {
		t.Errorf("%v %v", d, found[0].Directives)
	}
	missing, _ := Split("select 1,\n :C", SQLite)
	if _, _, err := missing[0].bind(SQLite, value); err == nil || err.Error() != "line 2: there is no macro 'C' for the parameter :C" {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotClosedIsNamed(t *testing.T) {
	for script, want := range map[string]string{
		"select 1;\nselect 'a": "line 2: a string or a quoted name is not closed",
		"/* a":                 "line 1: a comment is not closed",
		"\n\ndo $x$ a $$":      "line 3: the text that begins with $x$ is not closed",
		"select '\xff'":        "no UTF-8",
	} {
		if _, err := Split(script, PostgreSQL); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", script, err, want)
		}
	}
	if _, err := Split("DELIMITER \nselect 1", MySQL); err == nil {
		t.Error("a DELIMITER without one was taken")
	}
}

// FuzzSplit: statements come in the order of the script, from where it says, and are never made up.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"select 1; select ':A' || :A", "do $$ ; $$; $1", "create trigger t begin select case 1 when 1 then 2 end; end; x", "delimiter //\na;b//", "/* /* */ */ '", "E'\\''; [a;", "-- waybill: csv=x\nselect 1", "#\n`;`"} {
		for d := range 3 {
			f.Add(s, uint8(d))
		}
	}
	f.Fuzz(func(t *testing.T, script string, dialect uint8) {
		d := Dialect(dialect % 3)
		found, err := Split(script, d)
		if err != nil {
			return
		}
		text := strings.TrimPrefix(script, "\ufeff")
		at := 0
		for _, st := range found {
			i := strings.Index(text[at:], st.Text)
			if st.Text == "" || i < 0 {
				t.Fatalf("%q is not in %q behind byte %d", st.Text, text, at)
			}
			lines := strings.Split(text, "\n")
			if st.Line < 1 || st.Line > len(lines) || !strings.Contains(lines[st.Line-1], strings.SplitN(st.Text, "\n", 2)[0]) {
				t.Fatalf("%q does not begin in line %d of %q", st.Text, st.Line, text)
			}
			at += i + len(st.Text)
			bound, args, err := st.bind(d, func(string) (string, bool) { return "'; drop table x", true })
			if err != nil || strings.Count(bound, "'; drop table x") > strings.Count(st.Text, "'; drop table x") || (len(args) == 0) != (len(st.params) == 0) {
				t.Fatalf("%q is bound as %q with %v: %v", st.Text, bound, args, err)
			}
		}
	})
}

// The server would wait for the rows of a COPY that nobody sends, for ever.
func TestACopyFromTheClientIsRefusedBeforeAnythingIsDone(t *testing.T) {
	r := &run{options: options{whole: true}}
	for script, refused := range map[string]bool{
		"SELECT 1;\ncopy t (a, b) FROM stdin;": true, "COPY (SELECT 1) TO STDOUT": true, "COPY t TO STDOUT WITH (FORMAT csv)": true,
		"COPY t FROM '/srv/stdin.csv'": false, "SELECT 'COPY t FROM STDIN'": false, "COPY t FROM PROGRAM 'x'": false,
	} {
		statements, err := Split(script, PostgreSQL)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.check(statements, PostgreSQL); (err != nil) != refused || refused && !strings.Contains(err.Error(), "COPY from STDIN or to STDOUT") {
			t.Errorf("%s: %v", script, err)
		}
	}
}
