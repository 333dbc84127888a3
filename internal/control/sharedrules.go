package control

import (
	"fmt"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// The interval words of shared schedules (informatica.md, 6).
const (
	everyNone     = "None"
	everyMinutes  = "Minutely"
	everyHours    = "Hourly"
	everyDays     = "Daily"
	everyWeek     = "Weekly"
	everyTwoWeeks = "Biweekly"
	everyMonth    = "Monthly"
)

var (
	dayNames  = [7]string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	dayWords  = [7]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	weekWords = [5]string{"First", "Second", "Third", "Fourth", "Last"}
)

// Instant is the moment at which a clock in the zone shows a time: the first one for a time that comes twice, and for one that is skipped
// the moment at which the clock goes on.
func Instant(shown time.Time, zone *time.Location) time.Time {
	if shown.IsZero() {
		return shown
	}
	return schedule.Moment(shown, zone)
}

// StartOf is the moment at which a plan begins.
func StartOf(p job.SharedPlan, zone *time.Location) time.Time {
	if p.Later {
		return schedule.LaterMoment(p.Start, zone)
	}
	return Instant(p.Start, zone)
}

// sharedRule works out what a plan comes to, and refuses one that is not well-formed.
func sharedRule(name string, p *job.SharedPlan) (job.ScheduleRule, error) {
	zone, err := schedule.Zone(p.Zone)
	if err != nil {
		return job.ScheduleRule{}, err
	}
	p.Later = p.Later && !StartOf(*p, zone).Equal(Instant(p.Start, zone)) // it may come once only, in another zone
	r := job.ScheduleRule{
		Name: name, Kind: job.CronSchedule, Description: p.Description, Zone: p.Zone, Start: StartOf(*p, zone), End: Instant(p.End, zone),
	}
	switch {
	case p.Start.IsZero():
		return r, job.Errorf(job.Invalid, job.WordMissingField, "startTime is required")
	case !p.End.IsZero() && r.End.Before(r.Start):
		return r, invalidField("endTime is before startTime")
	case p.Frequency == 0:
		p.Frequency = 1
	}
	if err := layPlan(p, &r); err != nil {
		return r, err
	}
	_, err = TimesOf(r)
	return r, err
}

// limits of frequencies, by interval word.
var maxFrequency = map[string]int{everyMinutes: 1440, everyHours: 168, everyDays: 366}

func layPlan(p *job.SharedPlan, r *job.ScheduleRule) error {
	known := false
	for _, word := range []string{everyNone, everyMinutes, everyHours, everyDays, everyWeek, everyTwoWeeks, everyMonth} {
		if strings.EqualFold(p.Every, word) {
			p.Every, known = word, true
		}
	}
	switch most, counts := maxFrequency[p.Every]; {
	case p.Every == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "interval is required")
	case !known:
		return invalidField("interval '%s' is not known", short(p.Every))
	case counts && (p.Frequency < 1 || p.Frequency > most):
		return invalidField("frequency is between 1 and %d", most)
	case !counts && (p.Frequency < 1 || p.Frequency > 1440):
		return invalidField("frequency is between 1 and 1440")
	}
	clock := fmt.Sprintf("%d %d %d", p.Start.Second(), p.Start.Minute(), p.Start.Hour())
	c := &job.Calendar{Later: p.Later}
	switch p.Every {
	case everyNone:
		r.Cron, r.Calendar = fmt.Sprintf("%s %d %d ? %d", clock, p.Start.Day(), p.Start.Month(), p.Start.Year()), c
	case everyMinutes:
		r.Kind, r.Interval = job.IntervalSchedule, fmt.Sprintf("%dm", p.Frequency)
		return layRange(p, r)
	case everyHours:
		r.Kind, r.Interval = job.IntervalSchedule, fmt.Sprintf("%dh", p.Frequency)
	case everyDays:
		if p.Frequency > 1 {
			c.EveryDays, c.From = p.Frequency, p.Start.Format(time.DateOnly)
		}
		r.Cron, r.Calendar = clock+" * * ? *", c
		if p.WorkDays {
			r.Cron = clock + " ? * MON-FRI *"
		}
	case everyWeek, everyTwoWeeks:
		days := daysOf(p.Days)
		if days == "" {
			return invalidField("interval '%s' needs a day of the week", p.Every)
		}
		if p.Every == everyTwoWeeks {
			c.EveryWeeks, c.From = 2, p.Start.Format(time.DateOnly)
		}
		r.Cron, r.Calendar = clock+" ? * "+days+" *", c
	default:
		return layMonthly(p, r, clock, c)
	}
	return nil
}

func daysOf(days [7]bool) string {
	var names []string
	for i, set := range days {
		if set {
			names = append(names, dayNames[i])
		}
	}
	return strings.Join(names, ",")
}

// layRange narrows an interval of minutes to days and a time of the day.
func layRange(p *job.SharedPlan, r *job.ScheduleRule) error {
	c := &job.Calendar{}
	for i, set := range p.Days {
		if set {
			c.Weekdays = append(c.Weekdays, i)
		}
	}
	if !p.RangeStart.IsZero() {
		c.RangeFrom = p.RangeStart.Format(time.TimeOnly)
	}
	if !p.RangeEnd.IsZero() {
		c.RangeTo = p.RangeEnd.Format(time.TimeOnly)
	}
	if c.RangeFrom != "" && c.RangeTo != "" && c.RangeTo < c.RangeFrom {
		return invalidField("rangeEndTime is before rangeStartTime")
	}
	if len(c.Weekdays) > 0 || c.RangeFrom != "" || c.RangeTo != "" {
		r.Calendar = c
	}
	return nil
}

func layMonthly(p *job.SharedPlan, r *job.ScheduleRule, clock string, c *job.Calendar) error {
	switch {
	case p.DayOfMonth < 0 || p.DayOfMonth > 31:
		return invalidField("dayOfMonth is between 1 and 31")
	case p.DayOfMonth > 0 && p.WeekOfMonth+p.DayOfWeek != "":
		return invalidField("interval 'Monthly' takes dayOfMonth, or weekOfMonth and dayOfWeek, not both")
	case p.DayOfMonth == 31:
		r.Cron, r.Calendar = clock+" L * ? *", c
		return nil
	case p.DayOfMonth > 28:
		c.DayOfMonth = p.DayOfMonth
		r.Cron, r.Calendar = clock+" 28-31 * ? *", c
		return nil
	case p.DayOfMonth > 0:
		r.Cron, r.Calendar = fmt.Sprintf("%s %d * ? *", clock, p.DayOfMonth), c
		return nil
	case p.WeekOfMonth == "" || p.DayOfWeek == "":
		return invalidField("interval 'Monthly' needs dayOfMonth, or weekOfMonth and dayOfWeek")
	}
	week, day := wordIn(weekWords[:], p.WeekOfMonth), wordIn(dayWords[:], p.DayOfWeek)
	switch {
	case week < 0:
		return invalidField("weekOfMonth '%s' is not known", short(p.WeekOfMonth))
	case day < 0:
		return invalidField("dayOfWeek '%s' is not known", short(p.DayOfWeek))
	}
	p.WeekOfMonth, p.DayOfWeek = weekWords[week], dayWords[day]
	nth := fmt.Sprintf("%d#%d", day+1, week+1) // Quartz counts days from Sunday, which is 1
	if week == len(weekWords)-1 {
		nth = fmt.Sprintf("%dL", day+1)
	}
	r.Cron, r.Calendar = clock+" ? * "+nth+" *", c
	return nil
}

// wordIn is the place of a word in a list, in any letter case and also by its first three letters; -1: it is not there.
func wordIn(list []string, word string) int {
	for i, w := range list {
		if strings.EqualFold(w, word) || len(word) == 3 && strings.EqualFold(w[:3], word) {
			return i
		}
	}
	return -1
}

// shownIn is what a clock in the zone shows at an instant, written as if it were UTC.
func shownIn(at time.Time, zone *time.Location) time.Time {
	_, offset := at.In(zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}
