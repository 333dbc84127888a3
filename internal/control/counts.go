package control

import (
	"context"
	"time"
)

// CountFolder is a store that keeps changes of its counters apart for a while.
type CountFolder interface {
	// FoldCounts adds the changes to the counters. What is counted is the same before and after; it is read faster after.
	FoldCounts(ctx context.Context) error
}

// everyFold keeps the changes that a reader of counters adds up to some thousands.
const everyFold = 10 * time.Second

// FoldCounts is the duty that keeps counters quick to read.
func FoldCounts(f CountFolder) Duty {
	return Duty{Name: "counters", Every: everyFold, Do: func(ctx context.Context, _ bool) error { return f.FoldCounts(ctx) }}
}
