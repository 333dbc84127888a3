package standalone

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/server/service/worker/scheduler"
	"google.golang.org/protobuf/types/known/durationpb"

	"waybill/internal/schedule"
)

// The zones include those whose midnights are skipped or repeated, and those whose clocks change by other than an hour.
var zones = []string{
	"UTC", "Asia/Kolkata", "America/New_York", "America/Chicago", "Europe/Berlin", "Europe/London", "America/Havana", "America/Santiago", "Africa/Cairo",
	"Asia/Beirut", "Atlantic/Azores", "America/Nuuk", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca",
	"Europe/Dublin", "Australia/Adelaide",
}

// compiled is the plan as the server of this version understands it.
func compiled(t *testing.T, p schedule.Plan) *scheduler.CompiledSpec {
	t.Helper()
	ranges := func(from []schedule.Range) []*schedulepb.Range {
		var to []*schedulepb.Range
		for _, r := range from {
			to = append(to, &schedulepb.Range{Start: int32(r.From), End: int32(r.To), Step: 1})
		}
		return to
	}
	spec := &schedulepb.ScheduleSpec{TimezoneName: p.Zone}
	for _, c := range p.Calendars {
		spec.StructuredCalendar = append(spec.StructuredCalendar, &schedulepb.StructuredCalendarSpec{
			Second: ranges(c.Seconds), Minute: ranges(c.Minutes), Hour: ranges(c.Hours), DayOfMonth: ranges(c.Days), Month: ranges(c.Months),
			DayOfWeek: ranges(c.Weekdays), Year: ranges(c.Years), Comment: c.Comment,
		})
	}
	if p.Every > 0 {
		spec.Interval = []*schedulepb.IntervalSpec{{Interval: durationpb.New(p.Every), Phase: durationpb.New(p.Offset)}}
	}
	none := func() int { return 0 }
	out, err := scheduler.NewSpecBuilder(none, none).NewCompiledSpec(spec)
	if err != nil {
		t.Fatalf("%+v: %v", p, err)
	}
	return out
}

// TestTheServerFiresWhenTheListSays walks every zone's changes of clocks, second by second as the server sees them: what the server
// wakes us for, less what the pattern does not mean, is what our list promises.
func TestTheServerFiresWhenTheListSays(t *testing.T) {
	t.Parallel()
	patterns := []string{
		"30 2 * * *", "30 1 * * *", "0,30 * * * *", "15 0 * * *", "45 23 * * *", "0 10 ? * SUN", "0 0 10 ? * SUN", "0 0 0 L * ?", "0 0 23 1 * ?", "0 30 0 LW * ?",
		"0 15 1 ? * 6#3", "0 15 22 ? * 6L", "0 45 0 15W * ?", "0 30 2 1 1 ? 2027-2029", "0 0 0 1 * 1", "0 0 1 * 1", "*/10 0-3 * * *",
	}
	random := rand.New(rand.NewPCG(1, 0)) // the same each time, so that a change is tested and not luck
	for range 40 {
		patterns = append(patterns, fmt.Sprintf("%d %d %s %s *", random.IntN(60), random.IntN(24),
			[]string{"*", "1", "31", "*/2", "1-7"}[random.IntN(5)], []string{"*", "3,10", "1-6", "2"}[random.IntN(4)]))
	}
	for _, name := range zones {
		zone, err := schedule.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range patterns {
			times, err := schedule.Cron(text, zone)
			if err != nil {
				continue // five fields with a "?" day are fine, six with two days are not
			}
			agree(t, name+" "+text, times)
		}
	}
	every, err := schedule.Interval("7m", time.Date(2026, 3, 17, 9, 40, 58, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	agree(t, "7m", every)
}

func agree(t *testing.T, what string, times schedule.Times) {
	t.Helper()
	server := compiled(t, times.Plan())
	at := time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)
	end := time.Date(2027, 1, 10, 0, 0, 0, 0, time.UTC)
	for n := 0; at.Before(end) && n < 3000; n++ {
		want := times.Next(at)
		got := at
		for {
			result, err := server.GetNextTime("", got)
			if err != nil {
				t.Fatal(err)
			}
			if got = result.Nominal; got.IsZero() || times.Matches(got) {
				break
			}
			if want.IsZero() && got.Year() >= 2100 { // a date that never comes, such as 31 February, and the end of all our lists
				return
			}
			if !times.Plan().Covers(got) {
				t.Fatalf("%s: the plan does not know its own %s", what, got)
			}
		}
		if !got.Equal(want) {
			t.Fatalf("%s after %s: the server fires at %s, the list says %s", what, at, got, want)
		}
		if want.IsZero() {
			return
		}
		at = want
	}
}
