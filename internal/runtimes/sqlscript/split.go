package sqlscript

import (
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// Dialect is a database's way to write SQL, as far as finding the ends of statements goes.
type Dialect int

// The dialects.
const (
	PostgreSQL Dialect = iota
	MySQL
	SQLite
)

// Statement is one of a script.
type Statement struct {
	Text       string // without the delimiter at its end and comments in front
	Line       int    // where it begins, from 1
	Words      []string
	Directives map[string]string // of comments "-- waybill: name=value" in front of it
	params     []param
}

// param is a :NAME in a statement's text.
type param struct {
	from, to int // bytes in Text
	name     string
}

// Split finds the statements of a script. It knows strings, quoted names, comments, dollar quotes, the bodies of triggers
// and routines, and the DELIMITER lines of MySQL's clients.
func Split(script string, d Dialect) ([]Statement, error) {
	s := &splitter{text: strings.TrimPrefix(script, "\ufeff"), dialect: d, delimiter: ";", line: 1}
	if !utf8.ValidString(s.text) {
		return nil, fmt.Errorf("the script is no UTF-8")
	}
	s.begin(0)
	for s.at < len(s.text) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.end(len(s.text))
	return s.found, nil
}

type splitter struct {
	text      string
	dialect   Dialect
	delimiter string
	at, line  int
	found     []Statement

	// Of the statement that is being read:
	start     int // of its text; -1: nothing but space and comments so far
	startLine int
	words     []string
	depth     int // of BEGIN and CASE in the body of a routine
	last      string
	parens    int
	params    []param
	notes     map[string]string
}

func (s *splitter) begin(at int) {
	s.at, s.start, s.words, s.depth, s.last, s.parens, s.params, s.notes = at, -1, nil, 0, "", 0, nil, map[string]string{}
}

// end takes the statement whose text ends here.
func (s *splitter) end(at int) {
	if s.start < 0 {
		return
	}
	text := strings.TrimRight(s.text[s.start:at], " \t\r\n")
	if text != "" {
		s.found = append(s.found, Statement{Text: text, Line: s.startLine, Words: s.words, Directives: s.notes, params: s.params})
	}
}

// take moves n bytes on as part of the statement.
func (s *splitter) take(n int) {
	if s.start < 0 {
		s.start, s.startLine = s.at, s.line
	}
	s.skip(n)
}

func (s *splitter) skip(n int) {
	s.line += strings.Count(s.text[s.at:s.at+n], "\n")
	s.at += n
}

func (s *splitter) unclosed(what string, line int) error {
	return fmt.Errorf("line %d: %s is not closed", line, what)
}

func (s *splitter) step() error {
	rest := s.text[s.at:]
	c := rest[0]
	switch {
	case s.depth == 0 && strings.HasPrefix(rest, s.delimiter):
		s.end(s.at)
		s.skip(len(s.delimiter))
		s.begin(s.at)
	case strings.HasPrefix(rest, "--") && (s.dialect != MySQL || len(rest) == 2 || rest[2] <= ' '), c == '#' && s.dialect == MySQL:
		s.comment(rest)
	case strings.HasPrefix(rest, "/*"):
		return s.blockComment(rest)
	case c == '\'' || c == '"' || c == '`' && s.dialect != PostgreSQL:
		return s.quoted(rest, c, s.dialect == MySQL && c != '`' || c == '\'' && s.dialect == PostgreSQL && s.escapes())
	case c == '[' && s.dialect == SQLite:
		if end := strings.IndexByte(rest, ']'); end > 0 {
			s.take(end + 1)
			return nil
		}
		s.take(1)
	case c == '$' && s.dialect == PostgreSQL && !s.afterName():
		return s.dollar(rest)
	case c == ':':
		s.colon(rest)
	case nameStart(c):
		return s.word(rest)
	default:
		switch c {
		case '(':
			s.parens++
		case ')':
			s.parens--
		}
		if c <= ' ' && s.start < 0 {
			s.skip(1)
			return nil
		}
		_, n := utf8.DecodeRuneInString(rest)
		s.take(n)
	}
	return nil
}

func nameStart(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }

func namePart(c byte) bool { return nameStart(c) || c >= '0' && c <= '9' || c == '$' }

// afterName tells whether the byte before is part of a name or a number.
func (s *splitter) afterName() bool { return s.at > 0 && namePart(s.text[s.at-1]) }

// escapes tells whether a PostgreSQL string that begins here has backslash escapes: E'...'.
func (s *splitter) escapes() bool {
	return s.at > 0 && s.text[s.at-1]|0x20 == 'e' && (s.at == 1 || !namePart(s.text[s.at-2]))
}

func (s *splitter) comment(rest string) {
	n := strings.IndexByte(rest, '\n')
	if n < 0 {
		n = len(rest)
	}
	if s.start < 0 {
		s.directive(strings.TrimLeft(rest[:n], "-#"))
		s.skip(n)
		return
	}
	s.take(n)
}

// directive notes those in a comment in front of a statement.
func (s *splitter) directive(comment string) {
	maps.Copy(s.notes, directives(comment))
}

// directives reads "waybill: name=value ..." in a comment.
func directives(comment string) map[string]string {
	text, ok := strings.CutPrefix(strings.TrimSpace(comment), "waybill:")
	if !ok {
		return nil
	}
	found := map[string]string{}
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		found[name] = value
	}
	return found
}

// blockComment: those of PostgreSQL nest. MySQL runs what is in /*! */, so it belongs to the statement.
func (s *splitter) blockComment(rest string) error {
	line, depth, n := s.line, 0, 0
	for n < len(rest) {
		switch {
		case strings.HasPrefix(rest[n:], "/*") && (depth == 0 || s.dialect == PostgreSQL):
			depth++
			n += 2
		case strings.HasPrefix(rest[n:], "*/"):
			depth--
			n += 2
		default:
			n++
		}
		if depth == 0 {
			if s.start < 0 && !(s.dialect == MySQL && strings.HasPrefix(rest, "/*!")) {
				s.skip(n)
			} else {
				s.take(n)
			}
			return nil
		}
	}
	return s.unclosed("a comment", line)
}

func (s *splitter) quoted(rest string, quote byte, escapes bool) error {
	for i := 1; i < len(rest); i++ {
		switch {
		case escapes && rest[i] == '\\':
			i++
		case rest[i] == quote && i+1 < len(rest) && rest[i+1] == quote:
			i++
		case rest[i] == quote:
			s.take(i + 1)
			return nil
		}
	}
	return s.unclosed("a string or a quoted name", s.line)
}

// dollar reads $tag$ ... $tag$.
func (s *splitter) dollar(rest string) error {
	n := 1
	for n < len(rest) && namePart(rest[n]) && rest[n] != '$' {
		n++
	}
	if n >= len(rest) || rest[n] != '$' || n > 1 && rest[1] >= '0' && rest[1] <= '9' {
		s.take(1) // $1
		return nil
	}
	tag := rest[:n+1]
	end := strings.Index(rest[len(tag):], tag)
	if end < 0 {
		return s.unclosed("the text that begins with "+tag, s.line)
	}
	s.take(end + 2*len(tag))
	return nil
}

// colon finds :NAME. It is none in a::type, a := b and a[1:n].
func (s *splitter) colon(rest string) {
	if strings.HasPrefix(rest, "::") || strings.HasPrefix(rest, ":=") {
		s.take(2)
		return
	}
	n := 1
	for n < len(rest) && namePart(rest[n]) && rest[n] < 0x80 && rest[n] != '$' {
		n++
	}
	if n == 1 || !nameStart(rest[1]) || s.afterName() || s.at > 0 && s.text[s.at-1] == ']' {
		s.take(1)
		return
	}
	from := 0
	if s.start >= 0 {
		from = s.at - s.start
	}
	s.params = append(s.params, param{from, from + n, rest[1:n]})
	s.take(n)
}

// maxWords is how many words of a statement are kept: enough to tell what it is.
const maxWords = 4000

func (s *splitter) word(rest string) error {
	n := 1
	for n < len(rest) && namePart(rest[n]) {
		n++
	}
	word := strings.ToUpper(rest[:n])
	if word == "DELIMITER" && s.dialect == MySQL && s.start < 0 {
		line, _, _ := strings.Cut(rest, "\n")
		given := strings.TrimSpace(line[n:])
		if given == "" {
			return fmt.Errorf("line %d: DELIMITER names none", s.line)
		}
		s.delimiter = given
		s.skip(len(line))
		return nil
	}
	if s.parens == 0 && len(s.words) < maxWords {
		s.words = append(s.words, word)
	}
	if s.delimiter == ";" { // with another one, bodies need no counting
		s.count(word)
	}
	s.last = word
	s.take(n)
	return nil
}

// count follows the BEGIN ... END of the body of a trigger or a routine. In MySQL END IF, END LOOP, END WHILE and END REPEAT
// close what was not counted.
func (s *splitter) count(word string) {
	if !s.hasBody() {
		return
	}
	switch word {
	case "BEGIN":
		if s.dialect != PostgreSQL {
			s.depth++
		}
	case "ATOMIC":
		if s.dialect == PostgreSQL && s.last == "BEGIN" {
			s.depth++
		}
	case "CASE":
		if s.depth > 0 && s.last != "END" {
			s.depth++
		}
	case "END":
		if s.depth > 0 {
			s.depth--
		}
	case "IF", "LOOP", "WHILE", "REPEAT":
		if s.last == "END" && s.dialect == MySQL {
			s.depth++
		}
	}
}

// hasBody tells whether the statement creates something that may have a body of statements.
func (s *splitter) hasBody() bool {
	if len(s.words) < 2 || s.words[0] != "CREATE" {
		return false
	}
	for _, w := range s.words[1:min(len(s.words), 12)] {
		switch w {
		case "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT":
			return true
		case "TABLE", "VIEW", "INDEX":
			return false
		}
	}
	return false
}
