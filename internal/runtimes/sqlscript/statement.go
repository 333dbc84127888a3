package sqlscript

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// bind replaces :NAME by what the database calls a parameter, and lists the values. They never become part of the text, so
// no value can change what a statement does.
func (st Statement) bind(d Dialect, value func(name string) (string, bool)) (text string, args []any, err error) {
	if len(st.params) == 0 {
		return st.Text, nil, nil
	}
	var b strings.Builder
	numbers := map[string]int{}
	at := 0
	for _, p := range st.params {
		v, ok := value(p.name)
		if !ok {
			line := st.Line + strings.Count(st.Text[:p.from], "\n")
			return "", nil, fmt.Errorf("line %d: there is no macro '%s' for the parameter :%s", line, p.name, p.name)
		}
		b.WriteString(st.Text[at:p.from])
		at = p.to
		if d != PostgreSQL {
			b.WriteByte('?')
			args = append(args, v)
			continue
		}
		n, seen := numbers[p.name]
		if !seen {
			args = append(args, v)
			n = len(args)
			numbers[p.name] = n
		}
		b.WriteString("$" + strconv.Itoa(n))
	}
	b.WriteString(st.Text[at:])
	return b.String(), args, nil
}

// first is the statement's first word.
func (st Statement) first() string {
	if len(st.Words) == 0 {
		return ""
	}
	return st.Words[0]
}

// returnsRows tells whether a statement gives a result, by its words.
func (st Statement) returnsRows() bool {
	if slices.Contains(st.Words, "RETURNING") && st.first() != "CREATE" || strings.HasPrefix(st.Text, "(") {
		return true
	}
	switch st.first() {
	case "WITH":
		return !slices.ContainsFunc(st.Words, func(w string) bool {
			return w == "INSERT" || w == "UPDATE" || w == "DELETE" || w == "MERGE" || w == "REPLACE"
		})
	case "SELECT":
		return !slices.Contains(st.Words, "INTO") // SELECT INTO makes a table, or sets variables
	case "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "PRAGMA", "CALL", "ANALYZE", "CHECK", "FETCH", "":
		return true
	}
	return false
}

// controlsTransaction tells whether a statement begins or ends a transaction.
func (st Statement) controlsTransaction() bool {
	switch st.first() {
	case "BEGIN", "COMMIT", "END", "ABORT":
		return true
	case "ROLLBACK":
		return !slices.Contains(st.Words, "TO") // to a savepoint
	case "START":
		return len(st.Words) > 1 && st.Words[1] == "TRANSACTION"
	default:
		return false
	}
}

// copiesClient tells of a COPY whose rows the client would have to send or take, as psql does.
func (st Statement) copiesClient() bool {
	return st.first() == "COPY" && (slices.Contains(st.Words, "STDIN") || slices.Contains(st.Words, "STDOUT"))
}

// summary is the statement in one line.
func (st Statement) summary() string {
	text := strings.Join(strings.Fields(st.Text), " ")
	if r := []rune(text); len(r) > 120 {
		text = string(r[:117]) + "..."
	}
	return text
}
