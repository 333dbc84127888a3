package sqlstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"waybill/internal/job"
)

// What a filter may cost. SQLite gives up at an expression 1,000 deep and PostgreSQL at 65,535 parameters; both limits are
// far from what a person writes.
const (
	maxComparisons = 500
	maxValues      = 5000
	maxDepth       = 100
)

// condition is a piece of SQL with its parameters. Only names from the property tables and operators go into the text.
type condition struct {
	sql  string
	args []any
}

var (
	always = condition{sql: "1 = 1"}
	never  = condition{sql: "1 = 0"}
)

func (c condition) and(other condition) condition {
	return condition{sql: c.sql + " AND " + other.sql, args: slices.Concat(c.args, other.args)}
}

func (c condition) not() condition { return condition{sql: "NOT (" + c.sql + ")", args: c.args} }

func join(parts []condition, with string) condition {
	texts := make([]string, len(parts))
	var args []any
	for i, p := range parts {
		texts[i] = p.sql
		args = append(args, p.args...)
	}
	return condition{sql: "(" + strings.Join(texts, with) + ")", args: args}
}

// scoped limits a query of job configs to what the scope may see. Every list has a scope.
func scoped(s job.Scope) condition {
	own := condition{sql: "account_id = ?", args: []any{s.AccountID}}
	if s.OwnerID != 0 {
		own = own.and(condition{sql: "owner_id = ?", args: []any{s.OwnerID}})
	}
	if s.OwnerID != 0 && len(s.Configs) > 0 {
		own = join([]condition{own, {sql: "account_id = ? AND id IN ?", args: []any{s.AccountID, idsOf(s.Configs)}}}, " OR ")
	}
	return only(own, "id", s)
}

// only narrows a condition to the job configs that are all the scope holds.
func only(c condition, column string, s job.Scope) condition {
	if len(s.Only) == 0 {
		return c
	}
	return c.and(condition{sql: column + " IN ?", args: []any{idsOf(s.Only)}})
}

// fewIDs is how many ids a statement names each by itself.
const fewIDs = 200

// idsOf is what stands for ids behind IN. Many are one value: a statement has room for some ten thousand values, and a scope may have more.
func idsOf(ids []int64) any {
	if len(ids) <= fewIDs {
		return ids
	}
	return manyIDs{ids}
}

// manyIDs is a gorm.Valuer.
type manyIDs struct{ ids []int64 }

// GormValue reads them out of an array.
func (m manyIDs) GormValue(_ context.Context, db *gorm.DB) clause.Expr {
	texts := make([]string, len(m.ids))
	for i, id := range m.ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	list := strings.Join(texts, ",")
	if db.Name() == string(Postgres) {
		return clause.Expr{SQL: "(SELECT unnest(CAST(? AS bigint[])))", Vars: []any{"{" + list + "}"}}
	}
	return clause.Expr{SQL: "(SELECT value FROM json_each(?))", Vars: []any{"[" + list + "]"}}
}

// filter makes the WHERE of a list, and the listing to read from.
func (s *Store) filter(l listing, q job.Query, scope condition) (listing, condition, error) {
	where, err := s.compile(l, q.Scope.AccountID, q.Where)
	if err != nil {
		return l, where, err
	}
	where = scope.and(where)
	if l.indexed != "" && onlyUnfinished(q.Where) {
		// Unfinished jobs are few among many: make their own index usable, and SQLite use it.
		where.sql += " AND " + unfinished
		if s.driver == SQLite {
			l.from += " INDEXED BY " + l.indexed
		}
	}
	return l, where, nil
}

// compile turns a filter into SQL. Absent values compare as in the domain: "ne", "!in" and "!like" are the plain opposites
// of "eq", "in" and "like", so they hold for an absent value; every other comparison with an absent value is false.
func (s *Store) compile(l listing, account int64, e job.Expr) (condition, error) {
	c := compiler{listing: l, postgres: s.driver == Postgres, account: account}
	return c.expr(e, 0)
}

type compiler struct {
	listing
	postgres            bool
	account             int64
	comparisons, values int
}

func (c *compiler) expr(e job.Expr, depth int) (condition, error) {
	if depth > maxDepth {
		return condition{}, job.Errorf(job.Invalid, job.WordInvalidField, "The filter is nested too deeply")
	}
	switch e := e.(type) {
	case nil:
		return always, nil
	case job.And:
		return c.members(e, " AND ", always, depth)
	case job.Or:
		return c.members(e, " OR ", never, depth)
	case job.Compare:
		return c.compare(e)
	}
	return condition{}, job.Errorf(job.Internal, job.WordInternal, "Unknown kind of filter %T", e)
}

func (c *compiler) members(members []job.Expr, with string, empty condition, depth int) (condition, error) {
	if len(members) == 0 {
		return empty, nil
	}
	parts := make([]condition, len(members))
	for i, m := range members {
		var err error
		if parts[i], err = c.expr(m, depth+1); err != nil {
			return condition{}, err
		}
	}
	return join(parts, with), nil
}

func (c *compiler) compare(e job.Compare) (condition, error) {
	p, err := c.property(e.Property)
	if err != nil {
		return condition{}, err
	}
	c.comparisons++
	c.values += len(e.Values)
	if c.comparisons > maxComparisons || c.values > maxValues {
		return condition{}, job.Errorf(job.Invalid, job.WordInvalidField, "The filter has too many comparisons")
	}
	want := 1
	switch e.Op {
	case job.Null, job.NotNull:
		want = 0
	case job.In, job.NotIn:
		want = len(e.Values)
	}
	if len(e.Values) != want {
		return condition{}, job.Errorf(job.Invalid, job.WordInvalidField, "Operator %s on %s takes %d value(s)", e.Op, e.Property, want)
	}
	switch e.Op {
	case job.Null:
		return c.absent(p), nil
	case job.NotNull:
		return c.absent(p).not(), nil
	case job.Ne:
		return c.opposite(e, p, job.Eq)
	case job.NotIn:
		return c.opposite(e, p, job.In)
	case job.NotLike:
		return c.opposite(e, p, job.Like)
	case job.Eq, job.In:
		return c.equal(e, p)
	case job.Like:
		return c.like(e, p)
	case job.Lt, job.Lte, job.Gt, job.Gte:
		return c.order(e, p)
	}
	return condition{}, job.Errorf(job.Invalid, job.WordInvalidField, "Unknown operator '%s'", e.Op)
}

func (l listing) property(name string) (property, error) {
	p, ok := l.props[name]
	if !ok {
		return p, job.Errorf(job.Invalid, job.WordUnknownProperty, "Unknown property '%s'", name)
	}
	return p, nil
}

// opposite negates a comparison so that it also holds where the value is absent.
func (c *compiler) opposite(e job.Compare, p property, op job.Op) (condition, error) {
	e.Op = op
	c.comparisons--
	c.values -= len(e.Values)
	positive, err := c.compare(e)
	if err != nil || !p.null {
		return positive.not(), err
	}
	return join([]condition{{sql: p.column + " IS NULL"}, positive.not()}, " OR "), nil
}

func (c *compiler) absent(p property) condition {
	switch {
	case p.null:
		return condition{sql: p.column + " IS NULL"}
	case p.kind == kindTags:
		return condition{sql: "tags = '[]'"}
	case p.kind == kindText, p.kind == kindStatus:
		return condition{sql: p.column + " = ''"}
	case p.kind == kindID, p.kind == kindMinutes:
		return condition{sql: p.column + " = 0"}
	}
	return never
}

func (c *compiler) equal(e job.Compare, p property) (condition, error) {
	if len(e.Values) == 0 {
		return never, nil
	}
	if p.kind == kindTime {
		parts := make([]condition, len(e.Values))
		for i, v := range e.Values {
			at, err := timeValue(e.Property, v)
			if err != nil {
				return condition{}, err
			}
			parts[i] = condition{sql: "(" + p.column + " >= ? AND " + p.column + " < ?)", args: []any{at.low, at.high}}
		}
		// Each value is a comparison of its own in the SQL, and they nest.
		if c.comparisons += len(parts) - 1; c.comparisons > maxComparisons {
			return condition{}, job.Errorf(job.Invalid, job.WordInvalidField, "The filter has too many comparisons")
		}
		return join(parts, " OR "), nil
	}
	values := make([]any, len(e.Values))
	for i, v := range e.Values {
		var err error
		if values[i], err = scalar(e.Property, p.kind, v); err != nil {
			return condition{}, err
		}
	}
	if p.kind == kindTags {
		return c.tagged(condition{sql: "tag IN ?", args: []any{values}}), nil
	}
	if len(values) == 1 {
		c := condition{sql: p.column + " = ?", args: values}
		if p.sparse && values[0] != "" {
			c.sql = "(" + c.sql + " AND " + p.column + " <> '')" // what the index says of its rows, so that it is used
		}
		return c, nil
	}
	return condition{sql: p.column + " IN ?", args: []any{values}}, nil
}

// scalar converts a value to what the column holds.
func scalar(name string, k kind, v any) (any, error) {
	switch k {
	case kindStatus:
		return statusValue(name, v)
	case kindBool:
		return boolValue(name, v)
	case kindInt, kindID:
		return intValue(name, v)
	case kindMinutes:
		return minutesValue(name, v)
	}
	return textValue(name, v)
}

// tagged holds for rows with a tag for which the condition holds.
func (c *compiler) tagged(tag condition) condition {
	t := c.tags
	return condition{
		sql:  t.of + " IN (SELECT " + t.owner + " FROM " + t.table + " WHERE account_id = ? AND " + tag.sql + ")",
		args: append([]any{c.account}, tag.args...),
	}
}

func (c *compiler) like(e job.Compare, p property) (condition, error) {
	part, err := textValue(e.Property, e.Values[0])
	if err != nil {
		return condition{}, err
	}
	part = fold(part)
	switch p.kind {
	case kindText, kindStatus:
		column := p.folded
		if column == "" {
			column = p.column // object ids, job ids, statuses and reasons are lower case
		}
		return c.contains(column, part), nil
	case kindInt, kindID:
		return c.contains("CAST("+p.column+" AS text)", part), nil
	case kindTags:
		return c.tagged(c.contains("coalesce(tag_fold, tag)", part)), nil
	}
	return condition{}, job.Errorf(job.Invalid, job.WordInvalidField, "Operator %s does not go with %s", e.Op, e.Property)
}

// contains looks for a part by position rather than by LIKE: no character of it has a meaning then.
func (c *compiler) contains(column, part string) condition {
	if c.postgres {
		return condition{sql: "strpos(" + column + ", ?) > 0", args: []any{part}}
	}
	return condition{sql: "instr(" + column + ", ?) > 0", args: []any{part}}
}

var orderSigns = map[job.Op]string{job.Lt: " < ?", job.Lte: " <= ?", job.Gt: " > ?", job.Gte: " >= ?"}

func (c *compiler) order(e job.Compare, p property) (condition, error) {
	switch p.kind {
	case kindTime:
		at, err := timeValue(e.Property, e.Values[0])
		switch e.Op {
		case job.Lt:
			return condition{sql: p.column + " < ?", args: []any{at.low}}, err
		case job.Lte:
			return condition{sql: p.column + " < ?", args: []any{at.high}}, err
		case job.Gt:
			return condition{sql: p.column + " >= ?", args: []any{at.high}}, err
		}
		return condition{sql: p.column + " >= ?", args: []any{at.low}}, err
	case kindText, kindInt, kindMinutes, kindID:
		value, err := scalar(e.Property, p.kind, e.Values[0])
		column := p.column
		if p.kind == kindText && p.folded != "" {
			// As the list is sorted.
			column, value = p.folded, any(fold(asText(value)))
		}
		compared := condition{sql: column + orderSigns[e.Op], args: []any{value}}
		if p.null {
			return compared, err
		}
		return join([]condition{c.absent(p).not(), compared}, " AND "), err
	}
	return condition{}, job.Errorf(job.Invalid, job.WordInvalidField, "Operator %s does not go with %s", e.Op, e.Property)
}

func asText(v any) string {
	s, _ := v.(string)
	return s
}

// onlyUnfinished tells whether a filter can hold for jobs alone that are not final.
func onlyUnfinished(e job.Expr) bool {
	switch e := e.(type) {
	case job.And:
		for _, m := range e {
			if onlyUnfinished(m) {
				return true
			}
		}
	case job.Or:
		for _, m := range e {
			if !onlyUnfinished(m) {
				return false
			}
		}
		return len(e) > 0
	case job.Compare:
		if e.Property != "status" || (e.Op != job.Eq && e.Op != job.In) {
			return false
		}
		for _, v := range e.Values {
			s, err := statusValue(e.Property, v)
			if err != nil || job.Status(s).Final() {
				return false
			}
		}
		return len(e.Values) > 0
	}
	return false
}
