package schedule

import (
	"math/bits"
	"time"

	"waybill/internal/job"
)

// wall is what a pattern with one time of the day is narrowed by, on the calendar that hangs on the wall: it fires once on each date.
type wall struct {
	everyDays, everyWeeks int
	from                  time.Time // date in UTC that they are counted from
	dayOfMonth            int       // 0: as the pattern says
	later                 bool      // the second of two equal times
	h, m, s               int
}

// Narrowed is a schedule with what its pattern or interval can not say. See job.Calendar.
func (t Times) Narrowed(c job.Calendar, zone *time.Location) (Times, error) {
	if t.cron == nil {
		return t.within(c, zone)
	}
	p := t.cron
	if bits.OnesCount64(p.hours) != 1 || bits.OnesCount64(p.minutes) != 1 || bits.OnesCount64(p.seconds) != 1 {
		return t, badCalendar("the pattern of a calendar names one time of the day")
	}
	w := &wall{
		everyDays: c.EveryDays, everyWeeks: c.EveryWeeks, dayOfMonth: c.DayOfMonth, later: c.Later,
		h: bits.TrailingZeros64(p.hours), m: bits.TrailingZeros64(p.minutes), s: bits.TrailingZeros64(p.seconds),
	}
	if c.EveryDays > 1 || c.EveryWeeks > 1 {
		var err error
		if w.from, err = time.Parse(time.DateOnly, c.From); err != nil {
			return t, badCalendar("from is a date")
		}
	}
	t.wall = w
	return t, nil
}

func badCalendar(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordInvalidField, "calendar: "+format, args...)
}

// onDate tells whether it fires on a date, given in UTC.
func (w *wall) onDate(p *pattern, date time.Time) bool {
	y, mo, d := date.Date()
	if !p.onDate(y, mo, d, date.Weekday()) {
		return false
	}
	if w.dayOfMonth > 0 && d != min(w.dayOfMonth, time.Date(y, mo+1, 0, 0, 0, 0, 0, time.UTC).Day()) {
		return false
	}
	days := int(date.Sub(w.from) / (24 * time.Hour))
	if w.everyDays > 1 && (days < 0 || days%w.everyDays != 0) {
		return false
	}
	if w.everyWeeks > 1 {
		weeks := int(sunday(date).Sub(sunday(w.from)) / (7 * 24 * time.Hour))
		return weeks >= 0 && weeks%w.everyWeeks == 0
	}
	return true
}

// sunday is the first day of a date's week.
func sunday(date time.Time) time.Time { return date.AddDate(0, 0, -int(date.Weekday())) }

// at is when it fires on a date.
func (w *wall) at(date time.Time, zone *time.Location) time.Time {
	shown := date.Add(time.Duration(w.h)*time.Hour + time.Duration(w.m)*time.Minute + time.Duration(w.s)*time.Second)
	if w.later {
		return LaterMoment(shown, zone)
	}
	return Moment(shown, zone)
}

// Moment is when a clock in the zone shows a time, which is written as if it were UTC. One that the clock skips comes when it goes on, one
// that it shows twice when it first does.
func Moment(shown time.Time, zone *time.Location) time.Time {
	first, _ := moments(shown, zone)
	return first
}

// LaterMoment is Moment but for a time that the clock shows twice: then it is when it does so for the second time.
func LaterMoment(shown time.Time, zone *time.Location) time.Time {
	_, last := moments(shown, zone)
	return last
}

func moments(shown time.Time, zone *time.Location) (first, last time.Time) {
	_, before := shown.Add(-24 * time.Hour).In(zone).Zone()
	_, after := shown.Add(24 * time.Hour).In(zone).Zone()
	for _, offset := range []int{before, after} {
		t := shown.Add(-time.Duration(offset) * time.Second)
		if _, there := t.In(zone).Zone(); there == offset {
			if first.IsZero() || t.Before(first) {
				first = t
			}
			if t.After(last) {
				last = t
			}
		}
	}
	if first.IsZero() { // with the old offset it lies behind the change
		first = shown.Add(-time.Duration(before) * time.Second)
		if start, _ := first.In(zone).ZoneBounds(); !start.IsZero() {
			first = start
		}
		last = first
	}
	return first.UTC(), last.UTC()
}

// next is the first time after the instant.
func (w *wall) next(p *pattern, zone *time.Location, after time.Time) time.Time {
	y, mo, d := after.In(zone).Date()
	for date := time.Date(y, mo, d-1, 0, 0, 0, 0, time.UTC); date.Year() <= lastYear; date = date.AddDate(0, 0, 1) {
		if !w.onDate(p, date) {
			continue
		}
		if t := w.at(date, zone); t.After(after) {
			return t
		}
	}
	return time.Time{}
}

// matches tells whether it fires at the second of an instant.
func (w *wall) matches(p *pattern, zone *time.Location, at time.Time) bool {
	at = at.Truncate(time.Second)
	return w.next(p, zone, at.Add(-time.Second)).Equal(at)
}

// skipped are the moments at which a time that the zone's clock skips comes instead: the pattern's own calendars do not name them.
func (w *wall) skipped(zone *time.Location) (list []time.Time) {
	end := time.Date(zonesTo, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := stretchEnd(time.Date(zonesFrom, 1, 1, 0, 0, 0, 0, time.UTC).In(zone), end); at.Before(end); at = stretchEnd(at.In(zone), end) {
		_, before := at.Add(-time.Second).In(zone).Zone()
		_, after := at.In(zone).Zone()
		if after <= before {
			continue
		}
		y, mo, d := at.Add(time.Duration(before) * time.Second).Date()
		for day := range 2 {
			if w.at(time.Date(y, mo, d+day, 0, 0, 0, 0, time.UTC), zone).Equal(at) {
				list = append(list, at)
				break
			}
		}
	}
	return list
}

// once names one moment.
func once(at time.Time) calendarSets {
	at = at.UTC()
	return calendarSets{
		seconds: 1 << uint(at.Second()), minutes: 1 << uint(at.Minute()), hours: 1 << uint(at.Hour()), days: 1 << uint(at.Day()),
		months: 1 << uint(at.Month()), weekdays: allWeekdays, years: []int{at.Year()},
	}
}

// bounds are the days and the time of the day within which an interval fires.
type bounds struct {
	zone     *time.Location
	weekdays uint64
	from, to int // seconds of the day, both included
}

// within limits an interval.
func (t Times) within(c job.Calendar, zone *time.Location) (Times, error) {
	b := &bounds{zone: zone, to: 24*60*60 - 1}
	for _, day := range c.Weekdays {
		if day < 0 || day > 6 {
			return t, badCalendar("weekdays are 0 to 6")
		}
		b.weekdays |= 1 << uint(day)
	}
	if len(c.Weekdays) == 0 {
		b.weekdays = allWeekdays
	}
	for _, limit := range []struct {
		text string
		to   *int
	}{{c.RangeFrom, &b.from}, {c.RangeTo, &b.to}} {
		if limit.text == "" {
			continue
		}
		at, err := time.Parse(time.TimeOnly, limit.text)
		if err != nil {
			return t, badCalendar("a range has times such as 08:30:00")
		}
		*limit.to = at.Hour()*3600 + at.Minute()*60 + at.Second()
	}
	if b.to < b.from {
		return t, badCalendar("the range ends before it begins")
	}
	t.bounds = b
	return t, nil
}

// clock is how far a day has come, in seconds, on the wall.
func (b *bounds) clock(at time.Time) int {
	h, m, s := at.In(b.zone).Clock()
	return h*3600 + m*60 + s
}

func (b *bounds) hold(at time.Time) bool {
	seconds := b.clock(at)
	return has(b.weekdays, int(at.In(b.zone).Weekday())) && seconds >= b.from && seconds <= b.to
}

// searched is for how many days a limited interval is looked for: one that does not fire in them never does.
const searched = 2 * 366

// next is the first time of the interval at or after from that lies within the bounds.
func (b *bounds) next(t Times, from time.Time) time.Time {
	for range searched {
		at := t.interval(from)
		if b.hold(at) {
			return at
		}
		// Before the day's own beginning of the range, or the next day's, there is nothing.
		y, mo, d := at.In(b.zone).Date()
		start := time.Date(y, mo, d, 0, 0, b.from, 0, b.zone)
		if !start.After(at) {
			start = time.Date(y, mo, d+1, 0, 0, b.from, 0, b.zone)
		}
		from = start.UTC()
	}
	return time.Time{}
}
