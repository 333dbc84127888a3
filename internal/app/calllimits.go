package app

import (
	"time"

	"waybill/api"
	"waybill/internal/limit"
)

// callLimits says how many calls callers may make. A process whose database is a file of its own serves all its callers alone; others share
// what they count.
func (p *parts) callLimits() api.Limits {
	s := p.settings.Limits
	l := api.Limits{
		Doors: map[string]limit.Rule{
			"native":      limit.Leaking("native", s.Bucket, float64(s.Rate)),
			"diem":        limit.Windows("diem", s.DIEM, time.Minute),
			"informatica": limit.Windows("informatica", s.Informatica, time.Minute),
		},
		Login: limit.Leaking("login", s.Logins, float64(s.Logins)/60),
	}
	if p.sharesCallers() {
		l.Shared = p.store
	}
	return l
}

// sharesCallers tells whether other processes may serve the same callers.
func (p *parts) sharesCallers() bool { return p.settings.Database.URL != "" }
