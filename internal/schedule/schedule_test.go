package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reugn/go-quartz/quartz"
	"github.com/robfig/cron/v3"

	"waybill/internal/job"
)

var start = time.Date(2026, 3, 17, 9, 40, 58, 0, time.UTC) // a Tuesday

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func read(t testing.TB, text, in string) Times {
	t.Helper()
	times, err := Cron(text, zone(t, in))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return times
}

// wants checks the times after from, as the wall shows them.
func wants(t *testing.T, times Times, from time.Time, want ...string) {
	t.Helper()
	var got []string
	for _, at := range times.List(from, time.Time{}, len(want)) {
		got = append(got, at.In(times.zone).Format("2006-01-02 15:04:05 MST"))
		if !times.Matches(at) || !times.Plan().Covers(at) {
			t.Errorf("%s: Next and Matches, or the plan, do not agree", got[len(got)-1])
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%+v:\n got %s\nwant %s", times.cron, strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

func TestPatternsFireWhenTheySay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"0 25 13 1 * ? *", []string{"2026-04-01 13:25:00 UTC", "2026-05-01 13:25:00 UTC"}},
		{"30 9 * * *", []string{"2026-03-18 09:30:00 UTC"}},
		{"*/20 * * * *", []string{"2026-03-17 10:00:00 UTC", "2026-03-17 10:20:00 UTC"}},
		{"0 0 13 * 5", []string{"2026-03-20 00:00:00 UTC", "2026-03-27 00:00:00 UTC", "2026-04-03 00:00:00 UTC", "2026-04-10 00:00:00 UTC", "2026-04-13 00:00:00 UTC"}},
		{"0 0 * * 7", []string{"2026-03-22 00:00:00 UTC"}},
		{"0 0 * * 6-7", []string{"2026-03-21 00:00:00 UTC", "2026-03-22 00:00:00 UTC", "2026-03-28 00:00:00 UTC"}},
		{"0 0 12 ? * 2-6", []string{"2026-03-17 12:00:00 UTC", "2026-03-18 12:00:00 UTC"}},
		{"0 0 12 ? * MON,sat", []string{"2026-03-21 12:00:00 UTC", "2026-03-23 12:00:00 UTC"}},
		{"0 0 0 L * ?", []string{"2026-03-31 00:00:00 UTC", "2026-04-30 00:00:00 UTC"}},
		{"0 0 0 L 2 ? 2027/1", []string{"2027-02-28 00:00:00 UTC", "2028-02-29 00:00:00 UTC"}},
		{"0 0 0 L-3 * ?", []string{"2026-03-28 00:00:00 UTC", "2026-04-27 00:00:00 UTC"}},
		{"0 0 0 LW * ?", []string{"2026-03-31 00:00:00 UTC", "2026-04-30 00:00:00 UTC", "2026-05-29 00:00:00 UTC"}},
		{"0 0 0 15W * ?", []string{"2026-04-15 00:00:00 UTC", "2026-05-15 00:00:00 UTC", "2026-06-15 00:00:00 UTC", "2026-07-15 00:00:00 UTC", "2026-08-14 00:00:00 UTC"}},
		{"0 0 0 1W 8 ?", []string{"2026-08-03 00:00:00 UTC", "2027-08-02 00:00:00 UTC"}},
		{"0 0 0 31W 5 ?", []string{"2026-05-29 00:00:00 UTC"}},
		{"0 15 10 ? * 6L", []string{"2026-03-27 10:15:00 UTC", "2026-04-24 10:15:00 UTC"}},
		{"0 15 10 ? * FRIL", []string{"2026-03-27 10:15:00 UTC"}},
		{"0 15 10 ? * L", []string{"2026-03-21 10:15:00 UTC", "2026-03-28 10:15:00 UTC"}},
		{"0 15 10 ? * 6#3", []string{"2026-03-20 10:15:00 UTC", "2026-04-17 10:15:00 UTC"}},
		{"0 15 10 ? * TUE#5", []string{"2026-03-31 10:15:00 UTC", "2026-06-30 10:15:00 UTC"}},
		{"*/5 * * * * ?", []string{"2026-03-17 09:41:00 UTC", "2026-03-17 09:41:05 UTC"}},
		{"0 0 0 29 2 ?", []string{"2028-02-29 00:00:00 UTC", "2032-02-29 00:00:00 UTC"}},
		{"0 0 0 1 1 ? 2027,2030-2031", []string{"2027-01-01 00:00:00 UTC", "2030-01-01 00:00:00 UTC", "2031-01-01 00:00:00 UTC"}},
	} {
		wants(t, read(t, c.text, ""), start, c.want...)
	}
}

func TestPatternsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "* * * *", "* * * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "x * * * *",
		"*,, * * * *", "@daily", "TZ=UTC * * * *", "0 0 0 1 * 2", "0 0 0 32 * ?", "0 0 0 ? * 8", "0 0 0 ? * 6#6", "0 0 0 ? * 0L", "0 0 0 L-31 * ?",
		"0 0 0 * * ? 1999", "0 0 0 * * ? 2030-2020", "0 0 0 1-2W * ?", "0 0 0 L,3 * ?", "0 0 25 * * ?", "0 99 * * * ?", "0 0 0 1 0 ?",
		"0 0 0 1 * ? *\x00", "0 0 0 ١ * ?", strings.Repeat("1,", 300) + "1 * * * *",
	} {
		_, err := Cron(text, time.UTC)
		if job.WordOf(err) != job.WordInvalidCron || job.CodeOf(err) != job.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
	if next := read(t, "0 0 0 31 2 ?", "").Next(start); !next.IsZero() {
		t.Errorf("31 February comes at %s", next)
	}
	if next := read(t, "0 0 0 1 1 ? 2020", "").Next(start); !next.IsZero() {
		t.Errorf("2020 comes at %s", next)
	}
}

func TestClocksThatChange(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		zone, text, from string
		want             []string
	}{
		{"America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z", []string{"2026-03-09 02:30:00 EDT"}}, // the 8th has no 2:30
		{"America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", []string{"2026-11-01 01:30:00 EDT", "2026-11-01 01:30:00 EST", "2026-11-02 01:30:00 EST"}},
		{"Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-30 02:30:00 CEST"}},
		{"Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", []string{"2026-10-25 02:30:00 CEST", "2026-10-25 02:30:00 CET", "2026-10-26 02:30:00 CET"}},
		{"Europe/Berlin", "*/30 * * * *", "2026-10-24T23:45:00Z", []string{"2026-10-25 02:00:00 CEST", "2026-10-25 02:30:00 CEST", "2026-10-25 02:00:00 CET", "2026-10-25 02:30:00 CET", "2026-10-25 03:00:00 CET"}},
		{"America/Havana", "0 0 10 ? * SUN", "2026-03-07T12:00:00Z", []string{"2026-03-08 10:00:00 CDT", "2026-03-15 10:00:00 CDT"}}, // no midnight on the 8th
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z", []string{"2026-04-05 01:45:00 +11", "2026-04-05 01:45:00 +1030", "2026-04-06 01:45:00 +1030"}},
		{"Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00Z", []string{"2026-10-05 02:15:00 +11"}},
		{"Antarctica/Troll", "0 2 * * *", "2026-10-24T12:00:00Z", []string{"2026-10-25 02:00:00 +02", "2026-10-25 02:00:00 +00"}},
		{"Asia/Kathmandu", "0 0 1 * *", "2026-03-17T00:00:00Z", []string{"2026-04-01 00:00:00 +0545"}},
	} {
		wants(t, read(t, c.text, c.zone), at(c.from), c.want...)
	}
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"15m": 15 * time.Minute, "PT15M": 15 * time.Minute, "1h30m": 90 * time.Minute, "P1D": 24 * time.Hour, "p1dt12h": 36 * time.Hour, "60s": time.Minute,
		" 2h ": 2 * time.Hour, "P366D": 366 * 24 * time.Hour,
	} {
		got, err := Interval(text, time.Time{})
		if err != nil || got.every != want {
			t.Errorf("%q: %s, %v", text, got.every, err)
		}
	}
	for _, text := range []string{
		"", "15", "59s", "0", "-15m", "P", "PT", "P1M", "P1Y", "PT0S", "367d", "P367D", "90.5s", "1m1ms", "P99999999999999D", "PT999999999H", "x",
	} {
		if _, err := Interval(text, time.Time{}); job.WordOf(err) != job.WordInvalidField {
			t.Errorf("%q: %v", text, err)
		}
	}
	quarter, _ := Interval("15m", time.Time{})
	wantList(t, quarter, "09:45:00", "10:00:00")
	anchored, _ := Interval("PT15M", start.Add(-time.Hour))
	wantList(t, anchored, "09:55:58", "10:10:58")
}

func wantList(t *testing.T, times Times, want ...string) {
	t.Helper()
	for i, at := range times.List(start, time.Time{}, len(want)) {
		if got := at.Format("15:04:05"); got != want[i] || !times.Matches(at) || !times.Plan().Covers(at) || times.Matches(at.Add(time.Second)) {
			t.Errorf("%d: %s, want %s", i, got, want[i])
		}
	}
}

func TestListEndsWithTheSchedule(t *testing.T) {
	t.Parallel()
	hourly := read(t, "0 * * * *", "")
	if got := hourly.List(start, start.Add(150*time.Minute), 10); len(got) != 3 {
		t.Errorf("%v", got)
	}
	if got := read(t, "0 0 0 1 1 ? 2027", "").List(start, time.Time{}, 10); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestZones(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "UTC", "UTC": "UTC", "America/Chicago": "America/Chicago", "Asia/Kolkata": "Asia/Kolkata"} {
		if got := zone(t, name).String(); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
	for _, name := range []string{"Local", "Mars/Olympus", "../etc/passwd", "America/Chicago\x00", strings.Repeat("x", 1000)} {
		if _, err := Zone(name); job.WordOf(err) != job.WordInvalidTimeZone {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSubMinute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"*/5 * * * * ?": true, "0,30 * * * * ?": true, "7 * * * * ?": false, "* * * * *": false, "* * * * * ?": true} {
		if got := read(t, text, "").SubMinute(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestPlansAreReadableInZonesThatNeverChange(t *testing.T) {
	t.Parallel()
	p := read(t, "0 15 10 ? * 2-6 2026-2028", "Asia/Kolkata").Plan()
	if p.Zone != "Asia/Kolkata" || len(p.Calendars) != 1 {
		t.Fatalf("%+v", p)
	}
	c := p.Calendars[0]
	if got := fmt.Sprint(c.Seconds, c.Minutes, c.Hours, c.Days, c.Months, c.Weekdays, c.Years, c.Comment); got !=
		"[{0 0}] [{15 15}] [{10 10}] [{1 31}] [{1 12}] [{1 5}] [{2026 2026} {2027 2027} {2028 2028}]0 15 10 ? * 2-6 2026-2028" {
		t.Error(got)
	}
	p = read(t, "30 20 * * 5", "America/New_York").Plan()
	for _, c := range p.Calendars {
		if p.Zone != "UTC" || fmt.Sprint(c.Weekdays) != "[{6 6}]" || len(c.Hours) != 1 || c.Comment == "" {
			t.Errorf("%s %+v", p.Zone, c)
		}
	}
	if len(p.Calendars) != 2 {
		t.Errorf("%+v", p)
	}
}

// TestLibrariesAgree compares with the libraries where there is no change of clocks, and no flaw of theirs, in the way.
func TestLibrariesAgree(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"*/7 3-5 * * *", "0 0 1,15 * *", "0 12 1 * 1", "5 4 * 2 sun", "0 22 * * 1-5", "23 0-20/2 * * *", "0 0 13 * 5", "59 23 31 12 *"} {
		lib, err := cron.ParseStandard(text)
		if err != nil {
			t.Fatal(err)
		}
		at := start
		for range 200 {
			want := lib.Next(at)
			if want.Year() > lastYear {
				break
			}
			if got := read(t, text, "").Next(at); !got.Equal(want) {
				t.Fatalf("%s after %s: %s, robfig/cron says %s", text, at, got, want)
			}
			at = want
		}
	}
	for _, text := range []string{
		"0 0 12 * * ?", "0 15 10 ? * 2-6", "0 0/5 14,18 * * ?", "0 10,44 14 ? 3 WED", "30 15 10 15 * ?", "0 15 10 ? * 6#3", "0 15 10 ? * 6L", "0 15 10 L * ?",
		"0 15 10 L-2 * ?", "0 0 0 1 1 ? 2027/2", "0 0 8-10/2 ? * SUN",
	} {
		lib, err := quartz.NewCronTrigger(text)
		if err != nil {
			t.Fatal(err)
		}
		at := start
		for range 100 {
			nanos, err := lib.NextFireTime(at.UnixNano())
			got := read(t, text, "").Next(at)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			want := time.Unix(0, nanos).UTC()
			if want.Year() > lastYear {
				break
			}
			if !got.Equal(want) {
				t.Fatalf("%s after %s: %s, go-quartz says %s", text, at, got, want)
			}
			at = want
		}
	}
}
