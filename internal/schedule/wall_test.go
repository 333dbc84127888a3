package schedule

import (
	"testing"
	"time"

	"waybill/internal/job"
)

func narrowed(t testing.TB, times Times, c job.Calendar, in string) Times {
	t.Helper()
	times, err := times.Narrowed(c, zone(t, in))
	if err != nil {
		t.Fatal(err)
	}
	return times
}

const newYork = "America/New_York"

func TestCalendarsOnTheWall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cron string
		by   job.Calendar
		zone string
		from time.Time
		want []string
	}{
		"a skipped time comes when the clock goes on": {"0 30 2 * * ? *", job.Calendar{}, newYork, start.AddDate(0, 0, -11),
			[]string{"2026-03-07 02:30:00 EST", "2026-03-08 03:00:00 EDT", "2026-03-09 02:30:00 EDT"}},
		"a time that comes twice fires once": {"0 30 1 * * ? *", job.Calendar{}, newYork, time.Date(2026, 10, 31, 12, 0, 0, 0, time.UTC),
			[]string{"2026-11-01 01:30:00 EDT", "2026-11-02 01:30:00 EST"}},
		"the second of two equal times": {"0 30 1 * * ? *", job.Calendar{Later: true}, newYork, time.Date(2026, 10, 31, 12, 0, 0, 0, time.UTC),
			[]string{"2026-11-01 01:30:00 EST", "2026-11-02 01:30:00 EST"}},
		"at the very change": {"0 0 2 * * ? *", job.Calendar{}, newYork, start.AddDate(0, 0, -10),
			[]string{"2026-03-08 03:00:00 EDT", "2026-03-09 02:00:00 EDT"}},
		"every third day": {"0 0 2 * * ? *", job.Calendar{EveryDays: 3, From: "2026-03-16"}, newYork, start,
			[]string{"2026-03-19 02:00:00 EDT", "2026-03-22 02:00:00 EDT", "2026-03-25 02:00:00 EDT"}},
		"every second week": {"0 0 2 ? * MON,SAT *", job.Calendar{EveryWeeks: 2, From: "2026-03-17"}, "UTC", start,
			[]string{"2026-03-21 02:00:00 UTC", "2026-03-30 02:00:00 UTC", "2026-04-04 02:00:00 UTC"}},
		"the last day of months that are too short": {"0 0 2 28-31 * ? *", job.Calendar{DayOfMonth: 30}, "UTC", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			[]string{"2026-01-30 02:00:00 UTC", "2026-02-28 02:00:00 UTC", "2026-03-30 02:00:00 UTC"}},
		"once": {"0 0 2 18 3 ? 2026", job.Calendar{}, newYork, start, []string{"2026-03-18 02:00:00 EDT"}},
		"west of Greenwich, at midnight, in a zone that skips midnight": {"0 0 0 * * ? *", job.Calendar{}, "America/Asuncion",
			time.Date(2024, 10, 4, 12, 0, 0, 0, time.UTC), []string{"2024-10-05 00:00:00 -04", "2024-10-06 01:00:00 -03", "2024-10-07 00:00:00 -03"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times := narrowed(t, read(t, c.cron, c.zone), c.by, c.zone)
			if c.from.Year() < zonesFrom { // plans are made for what is to come
				var got []string
				for _, at := range times.List(c.from, time.Time{}, len(c.want)) {
					got = append(got, at.In(times.zone).Format("2006-01-02 15:04:05 MST"))
				}
				for i := range c.want {
					if len(got) <= i || got[i] != c.want[i] {
						t.Fatalf("got %v, want %v", got, c.want)
					}
				}
				return
			}
			wants(t, times, c.from, c.want...)
		})
	}
	if next := narrowed(t, read(t, "0 0 2 18 3 ? 2026", newYork), job.Calendar{}, newYork).Next(start.AddDate(0, 0, 2)); !next.IsZero() {
		t.Errorf("what is over fires at %s", next)
	}
}

func TestIntervalsWithinDaysAndRanges(t *testing.T) {
	t.Parallel()
	times, err := Interval("25m", start)
	if err != nil {
		t.Fatal(err)
	}
	tokyo := zone(t, "Asia/Tokyo") // 18:40:58 of a Tuesday
	times = narrowed(t, times, job.Calendar{Weekdays: []int{2, 5}, RangeFrom: "18:00:00", RangeTo: "19:10:00"}, "Asia/Tokyo")
	var got []string
	for _, at := range times.List(start, time.Time{}, 4) {
		got = append(got, at.In(tokyo).Format("Mon 15:04:05"))
		if !times.Matches(at) || !times.Plan().Covers(at) {
			t.Errorf("%s: Next and Matches, or the plan, do not agree", at)
		}
	}
	want := []string{"Tue 19:05:58", "Fri 18:20:58", "Fri 18:45:58", "Tue 18:10:58"}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if times.Matches(start.Add(50 * time.Minute)) {
		t.Error("it fires outside of its range")
	}
	never, err := Interval("P1D", start)
	if err != nil {
		t.Fatal(err)
	}
	if next := narrowed(t, never, job.Calendar{RangeFrom: "11:00:00", RangeTo: "12:00:00"}, "UTC").Next(start); !next.IsZero() {
		t.Errorf("what never lies in its range fires at %s", next)
	}
}

func TestCalendarsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	daily, every := read(t, "0 0 2 * * ? *", "UTC"), Times{every: time.Hour, zone: time.UTC}
	for name, c := range map[string]struct {
		times Times
		by    job.Calendar
	}{
		"many times a day":  {read(t, "0 0 * * * ? *", "UTC"), job.Calendar{}},
		"no date":           {daily, job.Calendar{EveryDays: 2}},
		"a weekday too far": {every, job.Calendar{Weekdays: []int{7}}},
		"no time":           {every, job.Calendar{RangeFrom: "25:00"}},
		"a range backwards": {every, job.Calendar{RangeFrom: "12:00:00", RangeTo: "11:00:00"}},
	} {
		if _, err := c.times.Narrowed(c.by, time.UTC); job.CodeOf(err) != job.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A day is counted on the wall: over ten years and several zones each date that is meant has one fire.
func TestEveryDateFiresOnce(t *testing.T) {
	t.Parallel()
	for _, in := range []string{newYork, "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata"} {
		z := zone(t, in)
		times := narrowed(t, read(t, "0 30 2 * * ? *", in), job.Calendar{}, in)
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, z)
		for day := at; day.Year() < 2036; {
			next := times.Next(at)
			y, m, d := next.In(z).Date()
			if want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC); !want.Equal(time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)) {
				t.Fatalf("%s: %s comes after %s", in, next.In(z), at.In(z))
			}
			if !times.Plan().Covers(next) && day.Month() == time.March {
				t.Fatalf("%s: the plan lacks %s", in, next.In(z))
			}
			at, day = next, day.AddDate(0, 0, 1)
		}
	}
}
