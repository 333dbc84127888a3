package native

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"waybill/api"
	"waybill/internal/job"
)

// ListParams are the query parameters of every list (native.md, 1.4).
type ListParams struct {
	Offset    whole  `query:"offset" doc:"Number of the page, counted from zero"`
	Size      whole  `query:"size" doc:"Items of a page; 25 if not given, 1000 at most"`
	SortBy    string `query:"sortby" doc:"Comma list of properties"`
	Direction string `query:"direction" doc:"Comma list of asc and desc, one for each property of sortby"`
	FilterBy  string `query:"filterby" doc:"Comma list of properties to filter by"`
	Operators string `query:"operators" doc:"One for each property: eq, ne, lt, gt, lte, gte, in, !in, like, !like, null, !null; joined by comma (and) or pipe (or), with parentheses"`
	Filter    string `query:"filter" doc:"Comma list of values, one for each property; a set for in and !in is joined by pipe. Alone: like over the default columns"`
	Cursor    string `query:"cursor" doc:"For deep lists: empty to begin, then the one of links.next"`
}

// Sizes of a page.
const (
	defaultSize = 25
	maxSize     = 1000
)

// listSpec is what one list has of its own.
type listSpec struct {
	order   job.Sort // when the call names none
	columns []string // searched by a filter alone
	compare compareFunc
	also    job.Expr // a condition of the route
	stats   bool
}

// listing is a call for a list, read.
type listing struct {
	query     job.Query
	size      int
	page      int
	keyset    bool
	sortBy    string
	direction string
	echo      *filterRequest
	warnings  []string

	path string     // below the base, escaped
	sent url.Values // as sent
	list string     // what a cursor is bound to
}

// listLink is the vendor's ListLink.
type listLink struct {
	Prev string `json:"prev,omitempty"`
	Next string `json:"next,omitempty"`
}

// page is the envelope of every list.
type Page[T any] struct {
	TotalRecords  *int           `json:"totalRecords,omitempty" doc:"Counted up to 10000"`
	TotalPages    *int           `json:"totalPages,omitempty"`
	Size          int            `json:"size"`
	PageNumber    *int           `json:"pageNumber,omitempty" doc:"Counted from zero; absent with a cursor"`
	SortBy        string         `json:"sortBy"`
	Direction     string         `json:"direction"`
	Filter        *filterRequest `json:"filter,omitempty" doc:"The filter as it was understood"`
	FilterRequest *filterRequest `json:"filterRequest,omitempty" doc:"The same as filter"`
	Warnings      []string       `json:"warnings" doc:"size_clamped, total_capped, total_not_counted"`
	Links         listLink       `json:"links"`
	Items         []T            `json:"items"`
}

// readList reads the parameters of a list.
func (d *door) readList(r *api.Request, p ListParams, spec listSpec) (*listing, error) {
	l := &listing{warnings: []string{}, sent: r.HTTP.URL.Query()}
	l.path = r.HTTP.URL.EscapedPath()
	for _, base := range d.self.Bases {
		if rest, ok := strings.CutPrefix(l.path, base+"/"); ok {
			l.path = rest
			break
		}
	}
	l.keyset = l.sent.Has("cursor")
	if l.keyset && p.Offset != "" {
		return nil, invalid("cursor and offset can not go together")
	}
	if err := l.readPage(p); err != nil {
		return nil, err
	}
	if err := l.readOrder(p, spec); err != nil {
		return nil, err
	}
	compare := spec.compare
	if compare == nil {
		compare = compareText
	}
	where, echo, err := parseFilter(p.FilterBy, p.Operators, p.Filter, spec.columns, compare)
	if err != nil {
		return nil, err
	}
	l.echo = echo
	l.query.Where = both(where, spec.also)
	l.query.Stats = spec.stats
	if !l.keyset {
		return l, nil
	}
	l.bind(r)
	if p.Cursor == "" {
		return l, nil
	}
	l.query.After, err = d.cursors.open(l.list, p.Cursor)
	return l, err
}

func both(a, b job.Expr) job.Expr {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return job.And{a, b}
}

// bind says what a cursor of this list belongs to: the caller, the route and all parameters that choose or order rows.
func (l *listing) bind(r *api.Request) {
	rest := url.Values{}
	for name, values := range l.sent {
		if name != "cursor" && name != "size" {
			rest[name] = values
		}
	}
	l.list = fmt.Sprintf("%d/%d %s?%s", r.Actor.AccountID, r.Actor.User.ID, l.path, rest.Encode())
}

// maxPage keeps page * size within an int.
const maxPage = 1 << 40

func (l *listing) readPage(p ListParams) error {
	l.size = defaultSize
	if p.Size != "" {
		n, err := strconv.ParseInt(string(p.Size), 10, 64)
		if n < 1 || (err != nil && !allDigits(string(p.Size))) {
			return invalid("size must be a whole number from 1 to %d", maxSize)
		}
		if n > maxSize {
			n = maxSize
			l.warnings = append(l.warnings, "size_clamped")
		}
		l.size = int(n)
	}
	if p.Offset != "" {
		n, err := strconv.ParseInt(string(p.Offset), 10, 64)
		if err != nil || n < 0 || n > maxPage {
			return invalid("offset must be the number of a page, counted from 0")
		}
		l.page = int(n)
	}
	l.query.Size, l.query.Keyset = l.size, l.keyset
	if !l.keyset {
		l.query.Offset = l.page * l.size
	}
	return nil
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// readOrder reads sortby and direction, which match each other; without sortby a single direction turns the default
// order.
func (l *listing) readOrder(p ListParams, spec listSpec) error {
	directions := strings.Split(p.Direction, ",")
	if p.SortBy == "" {
		if len(directions) > 1 {
			return invalid("direction needs a sortby of the same length")
		}
		order := spec.order
		if p.Direction != "" {
			desc, err := descending(p.Direction)
			if err != nil {
				return err
			}
			order.Desc = desc
		}
		l.setOrder([]job.Sort{order})
		return nil
	}
	names := strings.Split(p.SortBy, ",")
	if p.Direction == "" {
		directions = make([]string, len(names))
	}
	if len(directions) != len(names) {
		return invalid("sortby has %d properties and direction has %d", len(names), len(directions))
	}
	var order []job.Sort
	for i, name := range names {
		name = strings.TrimSpace(name)
		if name == "" {
			return invalid("sortby has an empty property")
		}
		desc, err := descending(directions[i])
		if err != nil {
			return err
		}
		order = append(order, job.Sort{Property: name, Desc: desc})
	}
	l.setOrder(order)
	return nil
}

func descending(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "asc":
		return false, nil
	case "desc":
		return true, nil
	}
	return false, invalid("direction is asc or desc")
}

func (l *listing) setOrder(order []job.Sort) {
	var names, directions []string
	for _, s := range order {
		names = append(names, s.Property)
		if s.Desc {
			directions = append(directions, "desc")
		} else {
			directions = append(directions, "asc")
		}
	}
	l.query.Sort = order
	l.sortBy, l.direction = strings.Join(names, ","), strings.Join(directions, ",")
}

// envelope makes the reply of a list from a page of it.
func envelope[T, R any](d *door, s style, l *listing, from job.List[T], show func(T) R) Page[R] {
	p := Page[R]{
		Size: l.size, SortBy: l.sortBy, Direction: l.direction, Filter: l.echo, FilterRequest: l.echo, Warnings: l.warnings,
		Items: make([]R, 0, len(from.Items)),
	}
	for _, item := range from.Items {
		p.Items = append(p.Items, show(item))
	}
	if l.keyset {
		if from.More {
			p.Links.Next = l.link(s, "cursor", d.cursors.seal(l.list, from.Next))
		}
		return p
	}
	p.PageNumber = &l.page
	if l.page > 0 {
		p.Links.Prev = l.link(s, "offset", strconv.Itoa(l.page-1))
	}
	if from.More {
		p.Links.Next = l.link(s, "offset", strconv.Itoa(l.page+1))
	}
	if from.NotCounted {
		p.Warnings = append(p.Warnings, "total_not_counted")
		return p
	}
	pages := (from.Total + l.size - 1) / l.size
	p.TotalRecords, p.TotalPages = &from.Total, &pages
	if from.Capped {
		p.Warnings = append(p.Warnings, "total_capped")
	}
	return p
}

// link is the address of another page of the same list.
func (l *listing) link(s style, name, value string) string {
	l.sent.Set(name, value)
	return s.href(l.path) + "?" + l.sent.Encode()
}
