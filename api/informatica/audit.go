package informatica

import (
	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
)

// act is what the audit log calls a route that changes something.
type act struct {
	action string // empty: it changes nothing, though it is a POST
	kind   string
	id     []string
}

// acts are the routes that take other methods than GET. A test holds that none is missing.
var acts = map[string]act{
	"POST " + userBase + "/user/login":          {"login", "session", nil},
	"POST " + userBase + "/user/logout":         {"logout", "session", nil},
	"POST " + userBase + "/user/logoutall":      {"logout.all", "session", nil},
	"POST " + taskBase + "/user/logout":         {"logout", "session", nil},
	"POST " + taskBase + "/user/validSessionId": {},
	"POST " + coreBase + "/login":               {"login", "session", nil},
	"POST " + taskBase + "/job":                 {"job.start", "jobconfig", nil},
	"POST " + taskBase + "/job/stop":            {"job.stop", "job", nil},
	"POST " + taskBase + "/schedule":            {"sharedschedule.create", "sharedschedule", nil},
	"POST " + taskBase + "/schedule/{id}":       {"sharedschedule.update", "sharedschedule", []string{"id"}},
	"DELETE " + taskBase + "/schedule/{id}":     {"sharedschedule.delete", "sharedschedule", []string{"id"}},
	"POST " + taskBase + "/mttask/{id}":         {"schedule.update", "schedule", []string{"id"}},
}

// audited begins the trail of a call that changes something, before anybody has looked at the call, and ends it whatever becomes of it.
func (d *door) audited(method, path string) func(huma.Context, func(huma.Context)) {
	a, known := acts[method+" "+path]
	if !known {
		a.action = operationID(method, path)
	}
	if !api.Changes(method) || a.action == "" {
		return func(hc huma.Context, next func(huma.Context)) { next(hc) }
	}
	return d.server.Audited(a.action, a.kind, a.id)
}
