package job

import "time"

// Query asks for a page of a list. Properties are named as the native API names them ("name", "createdByUser.name",
// "jobConfig.id"); a store answers WordUnknownProperty for one it does not know.
type Query struct {
	Scope  Scope
	Where  Expr // nil: everything
	Sort   []Sort
	Size   int
	Offset int  // rows to skip; ignored when Keyset is set
	Keyset bool // cursor paging: no totals, After says where to go on
	After  []string
	Stats  bool // jobs only: also count by status over all that Where matches
	Brief  bool // job configs only: leave Runtime and Rules empty, which may be a megabyte each
}

// CountLimit is how far a list is counted (native.md, 1.4): beyond it totals are capped, not computed.
const CountLimit = 10_000

// List is a page.
type List[T any] struct {
	Items      []T
	Total      int      // rows that match, at most CountLimit
	Capped     bool     // there are more than CountLimit
	NotCounted bool     // the page begins beyond CountLimit, or Keyset was set
	More       bool     // another page follows
	Next       []string // Keyset only: the After of the next page
}

// Sort is one column of an order. The id always breaks ties, in the direction of the last column.
type Sort struct {
	Property string
	Desc     bool
}

// Expr is a condition: And, Or or Compare.
type Expr interface{ expr() }

// And holds when all of its members do. Empty: true.
type And []Expr

// Or holds when one of its members does. Empty: false.
type Or []Expr

// Compare compares one property. Values has one member, none for Null and NotNull, any number for In and NotIn.
// A value is a string as the client wrote it, or a typed value (bool, int64, time.Time, Status, Reason) set by a door;
// the store converts strings to the property's type and answers WordInvalidField when it can not.
type Compare struct {
	Property string
	Op       Op
	Values   []any
}

func (And) expr()     {}
func (Or) expr()      {}
func (Compare) expr() {}

// Op is a comparison.
type Op string

// The comparisons. Like is a case-insensitive "contains"; "%" and "_" are plain characters.
const (
	Eq      Op = "eq"
	Ne      Op = "ne"
	Lt      Op = "lt"
	Gt      Op = "gt"
	Lte     Op = "lte"
	Gte     Op = "gte"
	In      Op = "in"
	NotIn   Op = "!in"
	Like    Op = "like"
	NotLike Op = "!like"
	Null    Op = "null"
	NotNull Op = "!null"
)

// JobStats counts the jobs a filter matches.
type JobStats struct {
	Queued, Running, Finished, Error, Failed, Cancelled int64
	TotalDuration                                       time.Duration
	Capped                                              bool // of some CountLimit of them: more match, and no counter tells how many
}
