package informatica

import (
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// layout is how the vendor writes times; those of wall clocks have the Z, too.
const layout = "2006-01-02T15:04:05.000Z"

// utc writes an instant.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}

// wall writes what a clock in the zone shows at an instant.
func wall(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(layout)
}

// zoneOf is the time zone of an account.
func zoneOf(a job.Account) *time.Location {
	zone, err := schedule.Zone(a.TimeZone)
	if err != nil { // it was checked when it was set; the lists of zones of two machines may differ
		return time.UTC
	}
	return zone
}
