package native

import (
	"strings"

	"waybill/internal/job"
)

// filterRequest is the vendor's FilterRequest: the filter as it was understood, echoed in list replies.
type filterRequest struct {
	And        bool               `json:"and"`
	Or         bool               `json:"or"`
	Filters    []operationRequest `json:"filters,omitempty"`
	Subfilters []*filterRequest   `json:"subfilters,omitempty"`
}

// operationRequest is the vendor's OperationRequest. Its enumeration of operators calls "like" "contains".
type operationRequest struct {
	FieldName string   `json:"fieldName"`
	Operator  string   `json:"operator"`
	Value     *string  `json:"value,omitempty"`
	Values    []string `json:"values,omitempty"`
}

// filterOps are the operators of native.md, 1.4, and their names in an echo.
var filterOps = map[job.Op]string{
	job.Eq: "eq", job.Ne: "ne", job.Lt: "lt", job.Gt: "gt", job.Lte: "lte", job.Gte: "gte", job.In: "in", job.NotIn: "!in",
	job.Like: "contains", job.NotLike: "!contains", job.Null: "null", job.NotNull: "!null",
}

// maxNesting bounds parentheses: the parser and the stores recurse.
const maxNesting = 50

// compareFunc makes the condition of one comparison; a list may read values of its own vocabulary in it.
type compareFunc func(property string, op job.Op, values []string) (job.Expr, error)

// compareText leaves the values to the store, which knows the properties' types.
func compareText(property string, op job.Op, values []string) (job.Expr, error) {
	c := job.Compare{Property: property, Op: op}
	for _, v := range values {
		c.Values = append(c.Values, v)
	}
	return c, nil
}

// parseFilter reads the three filter parameters. columns are searched when there is a filter alone.
func parseFilter(
	filterby, operators, filter string,
	columns []string,
	compare compareFunc,
) (job.Expr, *filterRequest, error) {
	if filterby == "" && operators == "" {
		if filter == "" {
			return nil, nil, nil
		}
		return searchColumns(unescape(filter), columns, compare)
	}
	p := &filterParser{compare: compare, properties: splitList(filterby, ','), rest: operators}
	for i, name := range p.properties {
		if p.properties[i] = unescape(strings.TrimSpace(name)); p.properties[i] == "" {
			return nil, nil, invalid("filterby has an empty property")
		}
	}
	if err := p.readOperators(); err != nil {
		return nil, nil, err
	}
	if err := p.deal(filter); err != nil {
		return nil, nil, err
	}
	return p.build(p.root)
}

// searchColumns is the filter that is given alone: a "like" over the list's default columns.
func searchColumns(value string, columns []string, compare compareFunc) (job.Expr, *filterRequest, error) {
	var any job.Or
	echo := &filterRequest{Or: true}
	for _, column := range columns {
		e, err := compare(column, job.Like, []string{value})
		if err != nil {
			return nil, nil, err
		}
		any = append(any, e)
		echo.Filters = append(echo.Filters, operationRequest{FieldName: column, Operator: filterOps[job.Like], Value: &value})
	}
	return any, echo, nil
}

// filterParser reads operators by recursive descent: "," (and) binds tighter than "|" (or), parentheses group.
type filterParser struct {
	compare    compareFunc
	properties []string
	rest       string // operators not read yet
	depth      int
	leaves     []*filterNode // in the order they were written
	root       *filterNode
}

// filterNode is a group when it has members, else a comparison.
type filterNode struct {
	or      bool
	members []*filterNode
	op      job.Op
	name    string
	values  []string
}

func (p *filterParser) readOperators() error {
	root, err := p.readOr()
	if err != nil {
		return err
	}
	if p.peek() != 0 {
		return invalid("operators has a ')' too many")
	}
	if len(p.leaves) != len(p.properties) {
		return invalid("filterby has %d properties and operators has %d operators", len(p.properties), len(p.leaves))
	}
	for i, leaf := range p.leaves {
		leaf.name = p.properties[i]
	}
	p.root = root
	return nil
}

// peek gives the next character that is not a blank, 0 at the end.
func (p *filterParser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " ")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

func (p *filterParser) readOr() (*filterNode, error) { return p.readGroup('|', true, p.readAnd) }

func (p *filterParser) readAnd() (*filterNode, error) { return p.readGroup(',', false, p.readOne) }

func (p *filterParser) readGroup(separator byte, or bool, read func() (*filterNode, error)) (*filterNode, error) {
	group := &filterNode{or: or}
	for {
		member, err := read()
		if err != nil {
			return nil, err
		}
		group.members = append(group.members, member)
		if p.peek() != separator {
			break
		}
		p.rest = p.rest[1:]
	}
	if len(group.members) == 1 {
		return group.members[0], nil
	}
	return group, nil
}

func (p *filterParser) readOne() (*filterNode, error) {
	if p.peek() == '(' {
		if p.depth++; p.depth > maxNesting {
			return nil, invalid("operators has more than %d parentheses inside of each other", maxNesting)
		}
		p.rest = p.rest[1:]
		inner, err := p.readOr()
		if err != nil {
			return nil, err
		}
		if p.peek() != ')' {
			return nil, invalid("operators has a '(' that is not closed")
		}
		p.rest = p.rest[1:]
		p.depth--
		return inner, nil
	}
	end := strings.IndexAny(p.rest, ",|()")
	if end < 0 {
		end = len(p.rest)
	}
	word := strings.TrimSpace(p.rest[:end])
	op := job.Op(strings.ToLower(word))
	if _, ok := filterOps[op]; !ok {
		return nil, invalid("Unknown operator '%s'", cut(word))
	}
	p.rest = p.rest[end:]
	leaf := &filterNode{op: op}
	p.leaves = append(p.leaves, leaf)
	return leaf, nil
}

// deal gives each comparison its values. "null" and "!null" take none; their place in the list may be left empty, or
// out.
func (p *filterParser) deal(filter string) error {
	var takers []*filterNode
	for _, leaf := range p.leaves {
		if leaf.op != job.Null && leaf.op != job.NotNull {
			takers = append(takers, leaf)
		}
	}
	if len(takers) == 0 {
		return nil
	}
	values := splitList(filter, ',')
	if len(values) == len(p.leaves) {
		takers = p.leaves
	}
	if len(values) != len(takers) {
		return invalid("filterby has %d properties and filter has %d values", len(p.properties), len(values))
	}
	for i, leaf := range takers {
		switch leaf.op {
		case job.Null, job.NotNull:
		case job.In, job.NotIn:
			for _, one := range splitList(values[i], '|') {
				leaf.values = append(leaf.values, unescape(one))
			}
		default:
			leaf.values = []string{unescape(values[i])}
		}
	}
	return nil
}

// build turns a node into the condition and its echo. The echo of a comparison alone is an "and" of one.
func (p *filterParser) build(n *filterNode) (job.Expr, *filterRequest, error) {
	members := n.members
	if len(members) == 0 {
		members = []*filterNode{n}
	}
	echo := &filterRequest{And: !n.or, Or: n.or}
	var parts []job.Expr
	for _, m := range members {
		var (
			e   job.Expr
			sub *filterRequest
			err error
		)
		if len(m.members) > 0 {
			e, sub, err = p.build(m)
			echo.Subfilters = append(echo.Subfilters, sub)
		} else {
			e, err = p.compare(m.name, m.op, m.values)
			echo.Filters = append(echo.Filters, m.echo())
		}
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, e)
	}
	switch {
	case len(parts) == 1:
		return parts[0], echo, nil
	case n.or:
		return job.Or(parts), echo, nil
	}
	return job.And(parts), echo, nil
}

func (n *filterNode) echo() operationRequest {
	o := operationRequest{FieldName: n.name, Operator: filterOps[n.op]}
	switch {
	case n.op == job.In || n.op == job.NotIn:
		o.Values = n.values
	case len(n.values) == 1:
		o.Value = &n.values[0]
	}
	return o
}

// splitList cuts s at every separator that no backslash stands before. It leaves the backslashes: unescape takes them
// out.
func splitList(s string, separator byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unescape turns \, and \| into the plain character, and \\ into one backslash; any other backslash stands for itself.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\|`, `|`).Replace(s)
}

// cut shortens what a client sent to what a message may repeat.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if r := []rune(s); len(r) > 64 {
		return string(r[:64]) + "..."
	}
	return s
}
