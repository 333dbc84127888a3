package native

import (
	"slices"

	"waybill/internal/job"
)

// pageOfAll filters, orders and cuts a list that is short and read whole anyway. property gives a member's value by name
// (see job.Match); tie is the property that puts equal ones in order.
func pageOfAll[T any](all []T, q job.Query, tie string, property func(T) func(string) (any, error)) (job.List[T], error) {
	var matching []T
	for _, one := range all {
		ok, err := job.Match(q.Where, property(one))
		if err != nil {
			return job.List[T]{}, err
		}
		if ok {
			matching = append(matching, one)
		}
	}
	sorts := append(slices.Clone(q.Sort), job.Sort{Property: tie, Desc: q.Sort[len(q.Sort)-1].Desc})
	var nothing T
	for _, s := range sorts { // an unknown property is told even when there is nothing to sort
		if _, err := property(nothing)(s.Property); err != nil {
			return job.List[T]{}, err
		}
	}
	if _, err := job.Match(q.Where, property(nothing)); err != nil { // and when there is nothing to filter
		return job.List[T]{}, err
	}
	slices.SortFunc(matching, func(a, b T) int {
		n, _ := job.Order(sorts, property(a), property(b)) // the properties were checked
		return n
	})
	from := min(q.Offset, len(matching))
	to := min(from+q.Size, len(matching))
	return job.List[T]{Items: matching[from:to], Total: len(matching), More: to < len(matching)}, nil
}

func noCursor(l *listing) error {
	if l.keyset {
		return invalid("This list has no cursors; it is short enough for offset")
	}
	return nil
}

func unknownProperty(name string) error {
	return job.Errorf(job.Invalid, job.WordUnknownProperty, "Unknown property '%s'", cut(name))
}
