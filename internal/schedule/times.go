package schedule

import (
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known by name on machines that have no list of them, too

	"waybill/internal/job"
)

// Times are the times at which a schedule fires: a cron pattern in a time zone, or an interval. They are whole seconds.
type Times struct {
	cron   *pattern
	zone   *time.Location
	every  time.Duration
	phase  time.Duration // of an interval: how long after midnight of 1 January 1970, UTC, it began, less whole intervals
	wall   *wall         // of a pattern that is narrowed
	bounds *bounds       // of an interval that is
}

// Cron reads a cron pattern: five fields as Unix cron, six or seven as Quartz (native.md, 6.3).
func Cron(text string, zone *time.Location) (Times, error) {
	p, err := parse(text)
	return Times{cron: &p, zone: zone}, err
}

// Intervals are between a minute and a year.
const (
	minInterval = time.Minute
	maxInterval = 366 * 24 * time.Hour
)

// isoInterval is what of ISO 8601 has a fixed length, in whole seconds.
var isoInterval = regexp.MustCompile(`^P(?:(\d{1,5})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?$`)

// Interval reads an interval: 15m, 1h30m, PT15M or P1D. It is counted from start; zero: from midnight of 1 January 1970, UTC, so that
// 15m means every quarter of an hour.
func Interval(text string, start time.Time) (Times, error) {
	d, err := parseInterval(strings.TrimSpace(text))
	switch {
	case err != nil:
		return Times{}, job.Wrap(err, job.Invalid, job.WordInvalidField, "intervalFrequency is a duration such as 15m or PT15M")
	case d < minInterval || d > maxInterval || d%time.Second != 0:
		return Times{}, job.Errorf(job.Invalid, job.WordInvalidField,
			"intervalFrequency is between one minute and 366 days, in whole seconds")
	}
	t := Times{zone: time.UTC, every: d}
	if !start.IsZero() {
		t.phase = floorMod(time.Duration(start.Unix())*time.Second, d)
	}
	return t, nil
}

func parseInterval(s string) (time.Duration, error) {
	upper := strings.ToUpper(s)
	if !strings.HasPrefix(upper, "P") {
		return time.ParseDuration(s)
	}
	m := isoInterval.FindStringSubmatch(upper)
	if m == nil || upper == "P" || strings.HasSuffix(upper, "T") {
		return 0, strconv.ErrSyntax
	}
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n := time.Duration(number(m[i+1]))
		if n > maxInterval/unit { // before it overflows
			return 0, strconv.ErrRange
		}
		total += n * unit
	}
	return total, nil
}

func floorMod(a, b time.Duration) time.Duration { return (a%b + b) % b }

// Zone finds a time zone by its IANA name. "" is UTC.
func Zone(name string) (*time.Location, error) {
	if name == "" || strings.EqualFold(name, "UTC") {
		return time.UTC, nil
	}
	switch top, _, _ := strings.Cut(name, "/"); top {
	case "Local", "localtime", "posixrules", "Factory": // whatever the machine is set to
		return nil, unknownZone(name)
	case "posix", "right": // other tables, which some machines have; the second count leap seconds
		return nil, unknownZone(name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, unknownZone(name)
	}
	return zone, nil
}

func unknownZone(name string) error {
	if len(name) > 64 {
		name = name[:64]
	}
	return job.Errorf(job.Invalid, job.WordInvalidTimeZone, "'%s' is not a time zone; an example is America/Chicago", strings.ToValidUTF8(name, "?"))
}

// SubMinute tells whether it fires more than once a minute.
func (t Times) SubMinute() bool { return t.cron != nil && bits.OnesCount64(t.cron.seconds) > 1 }

// Matches tells whether it fires at the second of the instant.
func (t Times) Matches(at time.Time) bool {
	if t.cron == nil {
		return floorMod(time.Duration(at.Unix())*time.Second-t.phase, t.every) == 0 && (t.bounds == nil || t.bounds.hold(at))
	}
	if t.wall != nil {
		return t.wall.matches(t.cron, t.zone, at)
	}
	wall := at.In(t.zone)
	y, m, d := wall.Date()
	return t.cron.clock(wall.Clock()) && t.cron.onDate(y, m, d, wall.Weekday())
}

// Next is the first time after the instant, the zero time when there is none. Within a stretch in which the zone's offset does
// not change its clock is like that of any other; the search goes from stretch to stretch.
func (t Times) Next(after time.Time) time.Time {
	from := time.Unix(after.Unix()+1, 0).UTC()
	if t.cron == nil {
		if t.bounds != nil {
			return t.bounds.next(t, from)
		}
		return t.interval(from)
	}
	if t.wall != nil {
		return t.wall.next(t.cron, t.zone, from.Add(-time.Second))
	}
	if earliest := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC); from.Before(earliest) {
		from = earliest
	}
	for from.Year() <= lastYear {
		local := from.In(t.zone)
		_, offset := local.Zone()
		shift := time.Duration(offset) * time.Second
		limit := stretchEnd(local, time.Date(lastYear+1, 1, 2, 0, 0, 0, 0, time.UTC))
		// A wall clock written as if it were UTC: in this stretch both go at the same pace.
		if wall := t.cron.next(from.Add(shift), limit.Add(shift)); !wall.IsZero() {
			return wall.Add(-shift)
		}
		from = limit
	}
	return time.Time{}
}

// interval is the first time of an interval at or after an instant.
func (t Times) interval(from time.Time) time.Time {
	if into := floorMod(time.Duration(from.Unix())*time.Second-t.phase, t.every); into > 0 {
		return from.Add(t.every - into)
	}
	return from
}

// stretchEnd is until when, at most limit, the offset of a time's zone stays as it is.
func stretchEnd(local, limit time.Time) time.Time {
	_, end := local.ZoneBounds()
	if !end.IsZero() && !end.After(local) {
		// On 31 December of leap years from 2040 on Go gives the day's own beginning (its count of a year's seconds
		// misses the leap day). No zone changes its clock that day.
		end = local.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	if end.IsZero() || end.After(limit) {
		return limit
	}
	return end.UTC()
}

// next is the first time in [from, limit) on a clock that never changes.
func (p *pattern) next(from, limit time.Time) time.Time {
	y, mo, d := from.Date()
	h, m, s := from.Clock()
	for day := time.Date(y, mo, d, 0, 0, 0, 0, time.UTC); day.Before(limit); day = day.AddDate(0, 0, 1) {
		if y, mo, d := day.Date(); p.onDate(y, mo, d, day.Weekday()) {
			if h, m, s, ok := p.nextClock(h, m, s); ok {
				if at := time.Date(y, mo, d, h, m, s, 0, time.UTC); at.Before(limit) {
					return at
				}
				return time.Time{}
			}
		}
		h, m, s = 0, 0, 0
	}
	return time.Time{}
}

// List is up to n times after the instant, none after end when that is set.
func (t Times) List(after, end time.Time, n int) []time.Time {
	var list []time.Time
	for len(list) < n {
		after = t.Next(after)
		if after.IsZero() || !end.IsZero() && after.After(end) {
			break
		}
		list = append(list, after)
	}
	return list
}
