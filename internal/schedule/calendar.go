package schedule

import (
	"fmt"
	"math/bits"
	"time"
)

// Plan is a schedule in the words of a workflow engine: calendars that are read in a time zone, or an interval. It names
// every time at which the schedule fires, and perhaps others: calendars have no word for "the last working day". Whoever is woken
// asks Times.Matches.
type Plan struct {
	Zone      string
	Calendars []Calendar
	Every     time.Duration // of an interval; 0: none
	Offset    time.Duration
}

// Calendar names the seconds at which all of its fields hold. An empty list of years is every year.
type Calendar struct {
	Seconds, Minutes, Hours, Days, Months, Weekdays, Years []Range // Weekdays: Sunday is 0
	Comment                                                string

	sets calendarSets
}

// Range is the numbers from From to To, both included.
type Range struct{ From, To int }

// calendarSets are a calendar's fields as sets.
type calendarSets struct {
	seconds, minutes, hours, days, months, weekdays uint64
	years                                           []int
}

// dates is one way of a pattern to name dates; it may name more than the pattern means.
type dates struct {
	days, weekdays uint64
}

// Plan translates. In a zone whose clock never changes the calendars are in that zone. In others they are in UTC, one set
// for each offset the zone has, limited to the months in which it has it: the Temporal server does not agree with itself
// on hours that come twice (in zones east of Greenwich it takes the second for the first), and leaves out days whose
// midnight is skipped. A UTC calendar has no such hours.
func (t Times) Plan() Plan {
	if t.cron == nil {
		return Plan{Zone: "UTC", Every: t.every, Offset: t.phase}
	}
	plan := Plan{Zone: "UTC"}
	stretches := offsetsOf(t.zone)
	steady := len(stretches) == 1
	if steady {
		plan.Zone = t.zone.String()
	}
	for _, named := range t.cron.dates() {
		if steady {
			plan.add(t.cron.calendar(named, t.cron.text))
			continue
		}
		for _, s := range stretches {
			for c, comment := range t.cron.shifted(named, s, t.zone.String()) {
				plan.add(c, comment)
			}
		}
	}
	if t.wall != nil && !steady {
		for _, at := range t.wall.skipped(t.zone) {
			plan.add(once(at), "a time that the clock of "+t.zone.String()+" skips")
		}
	}
	return plan
}

func (p *Plan) add(c calendarSets, comment string) {
	if c.months == 0 || c.hours == 0 {
		return
	}
	p.Calendars = append(p.Calendars, Calendar{
		Seconds: ranges(c.seconds), Minutes: ranges(c.minutes), Hours: ranges(c.hours), Days: ranges(c.days), Months: ranges(c.months),
		Weekdays: ranges(c.weekdays), Years: yearRanges(c.years), Comment: comment, sets: c,
	})
}

// Covers tells whether the engine wakes somebody at the second of the instant by the plan, and not because it was asked to.
func (p Plan) Covers(at time.Time) bool {
	if p.Every > 0 {
		return floorMod(time.Duration(at.Unix())*time.Second-p.Offset, p.Every) == 0
	}
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		return false
	}
	at = at.In(zone)
	h, m, s := at.Clock()
	for _, c := range p.Calendars {
		if has(c.sets.seconds, s) && has(c.sets.minutes, m) && has(c.sets.hours, h) && has(c.sets.days, at.Day()) &&
			has(c.sets.months, int(at.Month())) && has(c.sets.weekdays, int(at.Weekday())) &&
			(&pattern{years: c.sets.years}).inYear(at.Year()) {
			return true
		}
	}
	return false
}

// dates are the pattern's dates as sets of days and days of the week.
func (p *pattern) dates() []dates {
	switch {
	case p.either: // two calendars, of which either will do
		return []dates{{days: p.days, weekdays: allWeekdays}, {days: allDays, weekdays: p.weekdays}}
	case p.rule == nthOfKind: // the third Friday is the Friday between the 15th and the 21st: calendars can say that
		return []dates{{days: span(7*p.ruleN-6, 7*p.ruleN), weekdays: 1 << p.ruleDay}}
	case p.rule == lastOfKind:
		return []dates{{days: span(22, 31), weekdays: 1 << p.ruleDay}}
	case p.rule == lastDay:
		return []dates{{days: span(28-p.ruleN, 31-p.ruleN), weekdays: p.weekdays}}
	case p.rule == lastWorkday:
		return []dates{{days: span(26, 31), weekdays: span(int(time.Monday), int(time.Friday))}}
	case p.rule == nearest:
		return []dates{{days: span(p.ruleN-2, p.ruleN+2), weekdays: span(int(time.Monday), int(time.Friday))}}
	}
	return []dates{{days: p.days, weekdays: p.weekdays}}
}

// span is the set of the numbers from low to high that a month or a week has.
func span(low, high int) uint64 {
	var set uint64
	for n := max(low, 0); n <= min(high, 31); n++ {
		set |= 1 << uint(n)
	}
	return set
}

func (p *pattern) calendar(d dates, comment string) (calendarSets, string) {
	return calendarSets{
		seconds: p.seconds, minutes: p.minutes, hours: p.hours, days: d.days & allDays, months: p.months, weekdays: d.weekdays & allWeekdays,
		years: p.years,
	}, comment
}

// shifted is the pattern in UTC for the months in which the zone has the offset.
func (p *pattern) shifted(d dates, s stretch, zone string) func(yield func(calendarSets, string) bool) {
	comment := fmt.Sprintf("%s in %s, %s", p.text, zone, OffsetText(s.offset))
	if len(comment) > 200 { // the engine's limit
		comment = comment[:200]
	}
	base, _ := p.calendar(d, "")
	return func(yield func(calendarSets, string) bool) {
		for _, c := range base.byClock(s.offset) {
			c.months &= s.months
			if !yield(c, comment) {
				return
			}
		}
	}
}

// byClock shifts a calendar by an offset of the clock. Minutes that borrow an hour, and hours that borrow or give a day, are calendars of
// their own.
func (c calendarSets) byClock(offset int) []calendarSets {
	type key struct{ borrow, day int }
	groups := map[key]*calendarSets{}
	var order []key
	for h := range 24 {
		if !has(c.hours, h) {
			continue
		}
		for m := range 60 {
			if !has(c.minutes, m) {
				continue
			}
			at := h*60 + m - offset/60
			day := floorDiv(at, 24*60)
			at -= day * 24 * 60
			k := key{borrow: floorDiv(m-offset/60%60, 60), day: day}
			g := groups[k]
			if g == nil {
				moved := c.byDays(day)
				moved.hours, moved.minutes = 0, 0
				g = &moved
				groups[k] = g
				order = append(order, k)
			}
			g.hours |= 1 << uint(at/60)
			g.minutes |= 1 << uint(at%60)
		}
	}
	out := make([]calendarSets, 0, len(order))
	for _, k := range order {
		out = append(out, *groups[k])
	}
	return out
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && a < 0 {
		q--
	}
	return q
}

// byDays moves a calendar's dates by a day, or not. Days of the month have no fixed neighbours, so it may name more than before.
func (c calendarSets) byDays(by int) calendarSets {
	if by == 0 {
		return c
	}
	c.weekdays = rotate(c.weekdays, by, 0, 7)
	if c.days != allDays {
		wraps := has(c.days, 1)
		if by > 0 {
			wraps = c.days&span(28, 31) != 0
		}
		if by > 0 {
			c.days = c.days << 1 & allDays
		} else {
			c.days = c.days >> 1 & allDays
		}
		switch {
		case wraps && by > 0:
			c.days |= 1 << 1
		case wraps:
			c.days |= span(28, 31)
		}
	}
	c.months |= rotate(c.months, by, 1, 12)
	if c.years != nil {
		moved := map[int]bool{}
		var all []int
		for _, y := range c.years {
			for _, n := range []int{y, y + by} {
				if !moved[n] {
					moved[n] = true
					all = append(all, n)
				}
			}
		}
		c.years = all
	}
	return c
}

// rotate moves the members of a set of count numbers from low on by one place.
func rotate(set uint64, by, low, count int) uint64 {
	var out uint64
	for i := range count {
		if has(set, low+i) {
			out |= 1 << uint(low+(i+by+count)%count)
		}
	}
	return out
}

// stretch is an offset of a zone and the months, in UTC, in which it has it.
type stretch struct {
	offset int // seconds east of UTC
	months uint64
}

// The years whose changes of clocks are looked at. Rules of zones are made for ever, except where they follow the moon.
const zonesFrom, zonesTo = 2025, 2060

// offsetsOf lists the offsets a zone has.
func offsetsOf(zone *time.Location) []stretch {
	var list []stretch
	end := time.Date(zonesTo, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := time.Date(zonesFrom, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(end); {
		local := at.In(zone)
		_, offset := local.Zone()
		change := stretchEnd(local, end)
		i := 0
		for i < len(list) && list[i].offset != offset {
			i++
		}
		if i == len(list) {
			list = append(list, stretch{offset: offset})
		}
		for month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC); month.Before(change) && list[i].months != allMonths; month = month.AddDate(0, 1, 0) {
			list[i].months |= 1 << uint(month.Month())
		}
		at = change
	}
	return list
}

// OffsetText is an offset as UTC-05:00.
func OffsetText(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	return fmt.Sprintf("UTC%c%02d:%02d", sign, seconds/3600, seconds/60%60)
}

func ranges(set uint64) []Range {
	var list []Range
	for set != 0 {
		from := bits.TrailingZeros64(set)
		length := bits.TrailingZeros64(^(set >> uint(from)))
		list = append(list, Range{from, from + length - 1})
		set &^= (1<<uint(length) - 1) << uint(from)
	}
	return list
}

func yearRanges(years []int) []Range {
	var list []Range
	for _, y := range years {
		if y >= firstYear && y <= lastYear+1 {
			list = append(list, Range{y, y})
		}
	}
	return list
}
