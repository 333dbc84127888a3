package schedule

import (
	"testing"
	"time"
)

// FuzzCron looks for patterns that hang, panic, or whose parts do not agree: Next must be the first second that Matches, and the
// engine's plan must name it.
func FuzzCron(f *testing.F) {
	for _, text := range []string{
		"0 25 13 1 * ? *", "*/5 * * * *", "0 0 13 * 5", "0 0 0 LW * ?", "0 0 0 15W 2 ?", "0 15 10 ? * 6#3", "0 15 10 ? * 6L 2026-2030/2", "0 0 0 31 2 ?",
		"0,30 59 23 L-3 12 ?", "0 0 0 1W 1/3 ?", "30 2 * * 0-7", "0 0 22-2 * * ?", "*/61 * * * * ?",
	} {
		for zone := range fuzzZones {
			f.Add(text, uint8(zone), int64(1773740458))
		}
	}
	f.Fuzz(func(t *testing.T, text string, zone uint8, unix int64) {
		z, err := Zone(fuzzZones[int(zone)%len(fuzzZones)])
		if err != nil {
			t.Fatal(err)
		}
		times, err := Cron(text, z)
		if err != nil {
			return
		}
		// Within the years whose offsets plans know.
		from := time.Unix(time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC).Unix()+(unix%(30*366*24*3600)+30*366*24*3600)%(30*366*24*3600), 0).UTC()
		plan := times.Plan()
		next := times.Next(from)
		for range 20 {
			if next.IsZero() || next.Year() >= zonesTo {
				break
			}
			if !next.After(from) || !times.Matches(next) || !plan.Covers(next) {
				t.Fatalf("%q in %s after %s: %s, matches %v, covered %v", text, z, from, next, times.Matches(next), plan.Covers(next))
			}
			from, next = next, times.Next(next)
		}
		// Nothing between: look at each second of the last hours before next.
		for at := next.Add(-3 * time.Hour); !next.IsZero() && at.Before(next); at = at.Add(time.Second) {
			if at.After(from) && times.Matches(at) {
				t.Fatalf("%q in %s: %s was passed over on the way from %s to %s", text, z, at, from, next)
			}
		}
	})
}

var fuzzZones = []string{
	"", "America/New_York", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kathmandu", "Africa/Casablanca", "America/Santiago",
	"Pacific/Chatham", "America/St_Johns", "Africa/Cairo",
}
