package schedule

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/reugn/go-quartz/quartz"
	"github.com/robfig/cron/v3"

	"waybill/internal/job"
)

// pattern is a cron pattern, taken apart. Sets are bits: bit n stands for the value n.
type pattern struct {
	text                    string
	seconds, minutes, hours uint64
	months                  uint64
	years                   []int // nil: every year
	days, weekdays          uint64
	either                  bool // Unix cron: a day matches by one of the two fields, when both say something
	rule                    dayRule
	ruleN                   int          // of lastDay: days before it; nearest: the day; nth: which, 1 to 5
	ruleDay                 time.Weekday // of nth and lastWeekday
}

// dayRule is a way of Quartz to name a day that no set of numbers can.
type dayRule int

const (
	noRule      dayRule = iota
	lastDay             // L, L-3
	lastWorkday         // LW
	nearest             // 15W: the day from Monday to Friday that is nearest, in the same month
	lastOfKind          // 6L: the last Friday
	nthOfKind           // 6#3: the third Friday
)

const (
	allMinutes  = 1<<60 - 1
	allHours    = 1<<24 - 1
	allDays     = 1<<32 - 2 // 1 to 31
	allMonths   = 1<<13 - 2 // 1 to 12
	allWeekdays = 1<<7 - 1  // Sunday is 0

	firstYear, lastYear = 2000, 2099 // what the engine's calendars know, less one
)

// maxCron bounds a pattern: no sensible one comes near.
const maxCron = 512

func invalidCron(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordInvalidCron, format, args...)
}

// unixParser reads five fields, and the plain fields of Quartz.
var unixParser = cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// parse reads five fields as Unix cron, six or seven as Quartz.
func parse(text string) (pattern, error) {
	if len(text) > maxCron {
		return pattern{}, invalidCron("cronSchedule has more than %d characters", maxCron)
	}
	for _, c := range text {
		if c != ' ' && c != '\t' && !strings.ContainsRune("*?/,-#", c) && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return pattern{}, invalidCron("cronSchedule holds a character that no cron pattern has")
		}
	}
	fields := strings.Fields(strings.ToUpper(text))
	var (
		p   pattern
		err error
	)
	switch len(fields) {
	case 5:
		p, err = parseUnix(fields)
	case 6, 7:
		p, err = parseQuartz(fields)
	default:
		return p, invalidCron("cronSchedule has 5 fields (Unix cron), or 6 or 7 (Quartz), not %d", len(fields))
	}
	p.text = strings.Join(strings.Fields(text), " ")
	return p, err
}

func parseUnix(f []string) (pattern, error) {
	for _, one := range f {
		if strings.Contains(one, ",,") || strings.HasPrefix(one, ",") || strings.HasSuffix(one, ",") {
			return pattern{}, invalidCron("cronSchedule: '%s' has an empty part", one)
		}
	}
	f[4] = sundays(f[4])
	s, err := sets("0 " + strings.Join(f, " "))
	if err != nil {
		return pattern{}, err
	}
	p := pattern{
		seconds: 1, minutes: s.Minute & allMinutes, hours: s.Hour & allHours, months: s.Month & allMonths,
		days: s.Dom & allDays, weekdays: s.Dow & allWeekdays,
	}
	const star = 1 << 63 // the library's mark of a field that begins with "*"
	p.either = s.Dom&star == 0 && s.Dow&star == 0
	return p, nil
}

// sundays turns the 7 of a day-of-week field, which cron takes for Sunday as well as 0, into what the library knows.
func sundays(field string) string {
	parts := strings.Split(field, ",")
	for i, part := range parts {
		switch {
		case part == "7":
			parts[i] = "0"
		case strings.HasSuffix(part, "-7") && !strings.Contains(part, "/"):
			from := strings.TrimSuffix(part, "-7")
			parts[i] = from + "-6,0"
			if from == "7" {
				parts[i] = "0"
			}
		}
	}
	return strings.Join(parts, ",")
}

// sets reads six plain fields: second, minute, hour, day of month, month, day of week (Sunday is 0).
func sets(text string) (*cron.SpecSchedule, error) {
	s, err := unixParser.Parse(text)
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidCron, "cronSchedule is not a cron pattern: %s", reason(err))
	}
	spec, ok := s.(*cron.SpecSchedule)
	if !ok {
		return nil, invalidCron("cronSchedule is not a cron pattern")
	}
	return spec, nil
}

// reason is what a library says is wrong, without what it repeats of the input at length.
func reason(err error) string {
	s := err.Error()
	if len(s) > 160 {
		s = s[:160]
	}
	return strings.ToValidUTF8(s, "")
}

// parseQuartz lets go-quartz judge the pattern, and takes it apart: the library tells the next time but not the sets,
// which the engine's calendars are made of.
func parseQuartz(f []string) (pattern, error) {
	if err := quartz.ValidateCronExpression(strings.Join(f, " ")); err != nil {
		return pattern{}, job.Wrap(err, job.Invalid, job.WordInvalidCron, "cronSchedule is not a Quartz pattern: %s", reason(err))
	}
	for _, one := range f {
		if strings.Contains(one, ",,") || strings.HasPrefix(one, ",") || strings.HasSuffix(one, ",") {
			return pattern{}, invalidCron("cronSchedule: '%s' has an empty part", one)
		}
	}
	s, err := sets(strings.Join([]string{f[0], f[1], f[2], "*", f[4], "*"}, " "))
	if err != nil {
		return pattern{}, err
	}
	p := pattern{
		seconds: s.Second & allMinutes, minutes: s.Minute & allMinutes, hours: s.Hour & allHours, months: s.Month & allMonths,
		days: allDays, weekdays: allWeekdays,
	}
	if err := p.dayOfMonth(f[3]); err != nil {
		return p, err
	}
	if err := p.dayOfWeek(f[5]); err != nil {
		return p, err
	}
	if len(f) == 7 {
		p.years, err = years(f[6])
	}
	return p, err
}

func (p *pattern) dayOfMonth(field string) error {
	switch {
	case field == "*" || field == "?":
		return nil
	case field == "LW":
		p.rule = lastWorkday
	case field == "L":
		p.rule = lastDay
	case strings.HasPrefix(field, "L-"):
		p.rule, p.ruleN = lastDay, number(field[2:])
		if p.ruleN > 30 {
			return invalidCron("cronSchedule: '%s' is before every month", field)
		}
	case strings.HasSuffix(field, "W"):
		p.rule, p.ruleN = nearest, number(strings.TrimSuffix(field, "W"))
	default:
		s, err := sets("0 0 0 " + field + " * *")
		if err != nil {
			return err
		}
		p.days = s.Dom & allDays
	}
	return nil
}

// dayNames are Quartz's numbers of the days of the week, from 1 for Sunday.
var dayNames = strings.NewReplacer("SUN", "1", "MON", "2", "TUE", "3", "WED", "4", "THU", "5", "FRI", "6", "SAT", "7")

func (p *pattern) dayOfWeek(field string) error {
	field = dayNames.Replace(field)
	switch {
	case field == "*" || field == "?":
		return nil
	case field == "L": // by itself it simply means Saturday (Quartz's documentation of CronExpression)
		p.weekdays = 1 << time.Saturday
	case strings.HasSuffix(field, "L"):
		p.rule, p.ruleDay = lastOfKind, weekday(strings.TrimSuffix(field, "L"))
	case strings.Contains(field, "#"):
		day, nth, _ := strings.Cut(field, "#")
		p.rule, p.ruleDay, p.ruleN = nthOfKind, weekday(day), number(nth)
	default:
		s, err := sets("0 0 0 " + field + " * *") // as days of a month, which begin with 1 as Quartz's week does
		if err != nil {
			return err
		}
		p.weekdays = s.Dom >> 1 & allWeekdays
	}
	return nil
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil { // the validator has seen that these are digits
		return 0
	}
	return n
}

func weekday(s string) time.Weekday { return time.Weekday((number(s) + 6) % 7) }

// years reads a list of years, ranges and steps.
func years(field string) ([]int, error) {
	if field == "*" || field == "?" || field == "*/1" {
		return nil, nil
	}
	var list []int
	for _, part := range strings.Split(field, ",") {
		span, step, stepped := strings.Cut(part, "/")
		from, to, ranged := strings.Cut(span, "-")
		low, every := 1970, 1
		if from != "*" {
			low = number(from)
		}
		high := low
		switch {
		case ranged:
			high = number(to)
		case stepped:
			high = lastYear
		}
		if stepped {
			every = number(step)
		}
		if low < 1970 || every < 1 || high < low {
			return nil, invalidCron("cronSchedule: '%s' names no years", part)
		}
		for y := low; y <= min(high, lastYear); y += every {
			if y >= firstYear {
				list = append(list, y)
			}
		}
	}
	if len(list) == 0 {
		return nil, invalidCron("cronSchedule never fires: its years are before %d or after %d", firstYear, lastYear)
	}
	return list, nil
}

func has(set uint64, n int) bool { return set>>uint(n)&1 == 1 }

// onDate tells whether the pattern fires on a date at all.
func (p *pattern) onDate(year int, month time.Month, day int, weekday time.Weekday) bool {
	if !has(p.months, int(month)) || !p.inYear(year) {
		return false
	}
	byDay, byWeekday := has(p.days, day), has(p.weekdays, int(weekday))
	if p.either {
		return byDay || byWeekday
	}
	return byDay && byWeekday && p.byRule(year, month, day, weekday)
}

func (p *pattern) inYear(year int) bool {
	if p.years == nil {
		return year >= firstYear && year <= lastYear
	}
	for _, y := range p.years {
		if y == year {
			return true
		}
	}
	return false
}

func (p *pattern) byRule(year int, month time.Month, day int, weekday time.Weekday) bool {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	workday := weekday != time.Saturday && weekday != time.Sunday
	switch p.rule {
	case lastDay:
		return day == last-p.ruleN
	case lastWorkday:
		return workday && (day == last || weekday == time.Friday && day >= last-2)
	case nearest:
		return p.ruleN <= last && day == nearestWorkday(year, month, p.ruleN, last)
	case lastOfKind:
		return weekday == p.ruleDay && day > last-7
	case nthOfKind:
		return weekday == p.ruleDay && (day+6)/7 == p.ruleN
	}
	return true
}

// nearestWorkday is the day from Monday to Friday nearest to day, within the month.
func nearestWorkday(year int, month time.Month, day, last int) int {
	switch time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == last {
			return day - 2
		}
		return day + 1
	}
	return day
}

// clock tells whether the pattern fires at a time of the day.
func (p *pattern) clock(h, m, s int) bool {
	return has(p.hours, h) && has(p.minutes, m) && has(p.seconds, s)
}

// nextClock is the first time of the day at or after h:m:s at which the pattern fires.
func (p *pattern) nextClock(h, m, s int) (int, int, int, bool) {
	if has(p.hours, h) {
		if has(p.minutes, m) {
			if at := first(p.seconds, s); at < 64 {
				return h, m, at, true
			}
		}
		if at := first(p.minutes, m+1); at < 64 {
			return h, at, first(p.seconds, 0), true
		}
	}
	if at := first(p.hours, h+1); at < 64 {
		return at, first(p.minutes, 0), first(p.seconds, 0), true
	}
	return 0, 0, 0, false
}

// first is the smallest member of the set from n on, 64 when there is none.
func first(set uint64, n int) int {
	if n >= 64 {
		return 64
	}
	return bits.TrailingZeros64(set >> uint(n) << uint(n))
}
