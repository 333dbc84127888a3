package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"waybill/internal/job"
)

// maxSortColumns is more than any list has of useful ones.
const maxSortColumns = 8

// defaultSize is the page size of a query that names none (native.md, 1.4).
const defaultSize = 25

// keyed is a row of a keyset page together with its place in the order.
type keyed[R any] struct {
	Row R
	Key string // JSON array of the values it is sorted by
}

// list answers one page. It never counts beyond job.CountLimit, and a keyset page reads no row of the pages before it.
func list[R, T any](
	ctx context.Context, s *Store, l listing, q job.Query, scope condition, convert func(R) (T, error),
) (job.List[T], error) {
	none := job.List[T]{}
	l, where, err := s.filter(l, q, scope)
	if err != nil {
		return none, s.fault(ctx, err)
	}
	keys, err := l.keys(q.Sort)
	if err != nil {
		return none, err
	}
	size := q.Size
	if size <= 0 {
		size = defaultSize
	}
	rows, next, err := page[R](ctx, s, l, q, where, keys, size)
	if err != nil {
		return none, s.fault(ctx, err)
	}
	answer := job.List[T]{More: len(rows) > size, NotCounted: q.Keyset || q.Offset >= job.CountLimit}
	if answer.More {
		rows = rows[:size]
		answer.Next = next
	}
	if answer.Items, err = all(rows, convert); err != nil {
		return none, s.fault(ctx, err)
	}
	if answer.NotCounted {
		return answer, nil
	}
	answer.Total, answer.Capped, err = s.count(ctx, l, where)
	return answer, err
}

// page reads one row more than asked for, to know whether another page follows.
func page[R any](
	ctx context.Context, s *Store, l listing, q job.Query, where condition, keys []sortKey, size int,
) ([]R, []string, error) {
	order := make([]string, len(keys))
	for i, k := range keys {
		order[i] = k.sql + k.direction()
	}
	db := s.reader(ctx)
	if !q.Keyset {
		rows, err := many[R](db, "SELECT "+l.columns+" FROM "+l.from+" WHERE "+where.sql+
			" ORDER BY "+strings.Join(order, ", ")+" LIMIT ? OFFSET ?", append(where.args, size+1, max(q.Offset, 0))...)
		return rows, nil, err
	}
	if len(q.After) > 0 {
		after, err := behind(keys, q.After)
		if err != nil {
			return nil, nil, err
		}
		where = where.and(after)
	}
	values := make([]string, len(keys))
	for i, k := range keys {
		values[i] = k.sql
	}
	array := "json_array(%s)"
	if s.driver == Postgres {
		array = "CAST(json_build_array(%s) AS text)"
	}
	found, err := many[keyed[R]](db, "SELECT "+l.columns+", "+fmt.Sprintf(array, strings.Join(values, ", "))+" AS page_key FROM "+
		l.from+" WHERE "+where.sql+" ORDER BY "+strings.Join(order, ", ")+" LIMIT ?", append(where.args, size+1)...)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]R, len(found))
	for i := range found {
		rows[i] = found[i].Row
	}
	if len(found) <= size {
		return rows, nil, nil
	}
	next, err := place(found[size-1].Key)
	return rows, next, err
}

// count counts as far as totals are told.
func (s *Store) count(ctx context.Context, l listing, where condition) (total int, capped bool, err error) {
	total, _, err = one[int](s.read.WithContext(ctx),
		"SELECT count(*) FROM (SELECT 1 FROM "+l.from+" WHERE "+where.sql+" LIMIT ?) AS counted",
		append(where.args, job.CountLimit+1)...)
	if err != nil {
		return 0, false, s.fault(ctx, err)
	}
	return min(total, job.CountLimit), total > job.CountLimit, nil
}

// sortKey is one term of an order. Its SQL is never NULL, so both engines order and compare it alike: absent values come
// first when ascending.
type sortKey struct {
	sql  string
	text bool // else a number
	desc bool
}

func (k sortKey) direction() string {
	if k.desc {
		return " DESC"
	}
	return " ASC"
}

// keys makes the terms of an order, the id last.
func (l listing) keys(sorts []job.Sort) ([]sortKey, error) {
	if len(sorts) == 0 {
		sorts = l.order
	}
	if len(sorts) > maxSortColumns {
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "A list can be sorted by %d properties at most", maxSortColumns)
	}
	var (
		keys []sortKey
		desc bool
	)
	for _, by := range sorts {
		p, err := l.property(by.Property)
		if err != nil {
			return nil, err
		}
		key := sortKey{sql: p.column, desc: by.Desc, text: p.kind == kindText || p.kind == kindStatus}
		switch {
		case p.kind == kindTags:
			return nil, job.Errorf(job.Invalid, job.WordInvalidField, "A list can not be sorted by %s", by.Property)
		case p.kind == kindBool:
			key.sql = "CASE WHEN " + p.column + " THEN 1 ELSE 0 END"
		case p.folded != "":
			key.sql = p.folded
		case p.null && key.text:
			key.sql = "coalesce(" + p.column + ", '')"
		case p.null:
			key.sql = absentFirst(p.column)
		}
		keys = append(keys, key)
		desc = by.Desc
	}
	return append(keys, sortKey{sql: l.id, text: l.idKind == kindText, desc: desc}), nil
}

// absentTime sorts before all values.
const absentTime int64 = math.MinInt64 + 1

func absentFirst(column string) string {
	return "coalesce(" + column + ", " + strconv.FormatInt(absentTime, 10) + ")"
}

// behind holds for rows that come after the place in the order.
func behind(keys []sortKey, after []string) (condition, error) {
	if len(after) != len(keys) {
		return condition{}, badCursor()
	}
	values := make([]any, len(keys))
	for i, k := range keys {
		values[i] = after[i]
		if k.text {
			if clean(after[i]) != after[i] {
				return condition{}, badCursor()
			}
			continue
		}
		n, err := strconv.ParseInt(after[i], 10, 64)
		if err != nil {
			return condition{}, badCursor()
		}
		values[i] = n
	}
	if c, ok := behindRow(keys, values); ok {
		return c, nil
	}
	// Directions differ: (a > x) OR (a = x AND (b < y)) and so on, from the last key to the first.
	var c condition
	for i := len(keys) - 1; i >= 0; i-- {
		sign := " > ?"
		if keys[i].desc {
			sign = " < ?"
		}
		strict := condition{sql: keys[i].sql + sign, args: []any{values[i]}}
		if c.sql == "" {
			c = strict
			continue
		}
		same := condition{sql: "(" + keys[i].sql + " = ?", args: []any{values[i]}}.and(c)
		same.sql += ")"
		c = join([]condition{strict, same}, " OR ")
	}
	return c, nil
}

// behindRow compares all keys at once when they go one way: a form for which both engines use an index.
func behindRow(keys []sortKey, values []any) (condition, bool) {
	names := make([]string, len(keys))
	for i, k := range keys {
		if k.desc != keys[0].desc {
			return condition{}, false
		}
		names[i] = k.sql
	}
	sign := " > "
	if keys[0].desc {
		sign = " < "
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(keys)), ", ")
	return condition{sql: "(" + strings.Join(names, ", ") + ")" + sign + "(" + marks + ")", args: values}, true
}

func badCursor() error {
	return job.Errorf(job.Invalid, job.WordInvalidCursor, "The cursor does not belong to this list")
}

// place reads a page_key.
func place(key string) ([]string, error) {
	decoder := json.NewDecoder(strings.NewReader(key))
	decoder.UseNumber()
	var values []any
	if err := decoder.Decode(&values); err != nil {
		return nil, err
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return texts, nil
}
