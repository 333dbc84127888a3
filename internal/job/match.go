package job

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Match tells whether e holds for a thing in memory: what the stores do in SQL, for lists that are short and complete.
// value gives a property as string, bool, int64, time.Time or []string, nil when it is absent, and WordUnknownProperty
// for one there is not. "ne", "!in" and "!like" are the plain opposites of "eq", "in" and "like"; every other
// comparison with an absent value is false.
func Match(e Expr, value func(property string) (any, error)) (bool, error) {
	switch e := e.(type) {
	case nil:
		return true, nil
	case And:
		for _, m := range e {
			if ok, err := Match(m, value); err != nil || !ok {
				return false, err
			}
		}
		return true, nil
	case Or:
		for _, m := range e {
			if ok, err := Match(m, value); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	case Compare:
		have, err := value(e.Property)
		if err != nil {
			return false, err
		}
		return e.match(have)
	}
	return false, Errorf(Internal, WordInternal, "Unknown kind of filter %T", e)
}

func (c Compare) match(have any) (bool, error) {
	switch c.Op {
	case Null:
		return have == nil, nil
	case NotNull:
		return have != nil, nil
	case Ne, NotIn, NotLike:
		c.Op = map[Op]Op{Ne: Eq, NotIn: In, NotLike: Like}[c.Op]
		ok, err := c.match(have)
		return !ok && err == nil, err
	}
	if list, ok := have.([]string); ok {
		for _, one := range list {
			if ok, err := c.match(one); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	if have == nil {
		return false, nil
	}
	for _, want := range c.Values {
		if ok, err := c.holds(have, want); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// holds compares one value with one that was asked for.
func (c Compare) holds(have, want any) (bool, error) {
	if c.Op == Like {
		return strings.Contains(strings.ToLower(Text(have)), strings.ToLower(Text(want))), nil
	}
	low, high, err := c.compare(have, want)
	if err != nil {
		return false, err
	}
	switch c.Op {
	case Eq, In:
		return low >= 0 && high <= 0, nil
	case Lt:
		return low < 0, nil
	case Lte:
		return high <= 0, nil
	case Gt:
		return high > 0, nil
	case Gte:
		return low >= 0, nil
	}
	return false, Errorf(Invalid, WordInvalidField, "Unknown operator '%s'", c.Op)
}

// compare tells on which side of want have lies. They are one number but for dates: one that is written in whole
// seconds means all of that second, so it has a first and a last moment.
func (c Compare) compare(have, want any) (low, high int, err error) {
	bad := Errorf(Invalid, WordInvalidField, "%s can not be compared with '%s'", c.Property, Text(want))
	switch have := have.(type) {
	case bool:
		b, err := strconv.ParseBool(Text(want))
		if err != nil || (c.Op != Eq && c.Op != In) {
			return 0, 0, bad
		}
		if have != b {
			return 1, 1, nil
		}
		return 0, 0, nil
	case int64:
		n, err := strconv.ParseInt(Text(want), 10, 64)
		if err != nil {
			return 0, 0, bad
		}
		return cmp.Compare(have, n), cmp.Compare(have, n), nil
	case time.Time:
		from, to, ok := span(want)
		if !ok {
			return 0, 0, bad
		}
		return have.Compare(from), have.Compare(to), nil
	}
	order := strings.Compare(Text(have), Text(want))
	return order, order, nil
}

// span is the first and the last moment of a date: a time, or a text in one of the layouts of native.md, 1.2.
func span(want any) (from, to time.Time, ok bool) {
	if t, is := want.(time.Time); is {
		return t, t, true
	}
	s := strings.TrimSpace(Text(want))
	for _, layout := range []string{"Jan 2, 2006 3:04:05 PM", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			if strings.Contains(s, ".") {
				return t, t, true
			}
			return t, t.Add(time.Second - 1), true
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return from, to, false
	case len(strings.TrimPrefix(s, "-")) <= 10:
		return time.Unix(n, 0), time.Unix(n, 0).Add(time.Second - 1), true
	}
	return time.UnixMilli(n), time.UnixMilli(n).Add(time.Millisecond - 1), true
}

// Text is a property's value, or one it is compared with, as a client would write it.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case Status:
		return string(v)
	case Reason:
		return string(v)
	case ID:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []string:
		return strings.Join(v, ",")
	}
	return ""
}

// Order compares two things by an order, property by property; absent values come first when ascending.
func Order(sorts []Sort, a, b func(property string) (any, error)) (int, error) {
	for _, by := range sorts {
		left, err := a(by.Property)
		if err != nil {
			return 0, err
		}
		right, err := b(by.Property)
		if err != nil {
			return 0, err
		}
		n := order(left, right)
		if by.Desc {
			n = -n
		}
		if n != 0 {
			return n, nil
		}
	}
	return 0, nil
}

func order(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(rank(a), rank(b))
	}
	switch a := a.(type) {
	case bool:
		other, _ := b.(bool)
		return cmp.Compare(rank(a), rank(other))
	case int64:
		other, _ := b.(int64)
		return cmp.Compare(a, other)
	case time.Time:
		other, _ := b.(time.Time)
		return a.Compare(other)
	case []string:
		other, _ := b.([]string)
		return slices.Compare(a, other)
	}
	return strings.Compare(strings.ToLower(Text(a)), strings.ToLower(Text(b)))
}

func rank(v any) int {
	if v == nil || v == false {
		return 0
	}
	return 1
}
