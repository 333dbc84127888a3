package native

import (
	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
)

// act is what the audit log calls a route that changes something.
type act struct {
	action string
	kind   string   // of the resource, until the use case knows better
	id     []string // path parameters that name it
}

// acts are the routes that change something. A test holds that none is missing.
var acts = map[string]act{
	"POST /login":         {"login", "session", nil},
	"POST /login/refresh": {"login.refresh", "session", nil},
	"POST /login/oidc":    {"login.sso", "session", nil},
	"POST /logout":        {"logout", "session", nil},

	"POST /apikeys":        {"apikey.create", "apikey", nil},
	"DELETE /apikeys/{id}": {"apikey.revoke", "apikey", []string{"id"}},

	"PUT /account":                {"account.update", "account", nil},
	"PATCH /account":              {"account.update", "account", nil},
	"POST /account/retention/run": {"account.retention.run", "account", nil},
	"PUT /account/destination":    {"account.destination.set", "account", nil},
	"DELETE /account/destination": {"account.destination.clear", "account", nil},

	"POST /users":               {"user.create", "user", nil},
	"PUT /users/{id}":           {"user.update", "user", []string{"id"}},
	"PATCH /users/activate":     {"user.activate", "user", nil},
	"PATCH /users/deactivate":   {"user.deactivate", "user", nil},
	"POST /users/{id}/password": {"user.password.set", "user", []string{"id"}},

	"POST /jobconfigs":             {"jobconfig.create", "jobconfig", nil},
	"PUT /jobconfigs/{id}":         {"jobconfig.update", "jobconfig", []string{"id"}},
	"PATCH /jobconfigs/{id}":       {"jobconfig.update", "jobconfig", []string{"id"}},
	"DELETE /jobconfigs/{id}":      {"jobconfig.delete", "jobconfig", []string{"id"}},
	"PATCH /jobconfigs/activate":   {"jobconfig.activate", "jobconfig", nil},
	"PATCH /jobconfigs/deactivate": {"jobconfig.deactivate", "jobconfig", nil},
	"DELETE /jobconfigs/delete":    {"jobconfig.delete", "jobconfig", nil},

	"POST /jobconfigs/{id}/files":                {"file.upload", "jobconfig", []string{"id"}},
	"PUT /jobconfigs/{id}/files/{key}":           {"file.upload", "file", []string{"id", "key"}},
	"DELETE /jobconfigs/{id}/files/{key}":        {"file.delete", "file", []string{"id", "key"}},
	"POST /account/{id}/files":                   {"file.upload", "account", []string{"id"}},
	"PUT /account/{id}/files/{key}":              {"file.upload", "file", []string{"id", "key"}},
	"DELETE /account/{id}/files/{key}":           {"file.delete", "file", []string{"id", "key"}},
	"POST /users/{id}/files":                     {"file.upload", "user", []string{"id"}},
	"PUT /users/{id}/files/{key}":                {"file.upload", "file", []string{"id", "key"}},
	"DELETE /users/{id}/files/{key}":             {"file.delete", "file", []string{"id", "key"}},
	"POST /jobconfigs/{id}/filelinks":            {"filelink.create", "jobconfig", []string{"id"}},
	"DELETE /jobconfigs/{id}/filelinks/{linkid}": {"filelink.delete", "filelink", []string{"linkid"}},

	"POST /jobconfigs/{id}/schedule":          {"schedule.create", "schedule", []string{"id"}},
	"PUT /jobconfigs/{id}/schedule":           {"schedule.update", "schedule", []string{"id"}},
	"DELETE /jobconfigs/{id}/schedule":        {"schedule.delete", "schedule", []string{"id"}},
	"POST /jobconfigs/{id}/schedule/pause":    {"schedule.pause", "schedule", []string{"id"}},
	"POST /jobconfigs/{id}/schedule/resume":   {"schedule.resume", "schedule", []string{"id"}},
	"POST /jobconfigs/{id}/schedule/run":      {"schedule.run", "schedule", []string{"id"}},
	"POST /jobconfigs/{id}/schedule/backfill": {"schedule.backfill", "schedule", []string{"id"}},
	"POST /jobconfigs/{id}/subscription":      {"subscription.set", "subscription", []string{"id"}},
	"DELETE /jobconfigs/{id}/subscription":    {"subscription.delete", "subscription", []string{"id"}},

	"POST /jobconfigs/{id}/jobs":                      {"job.start", "jobconfig", []string{"id"}},
	"DELETE /jobs/{id}":                               {"job.stop", "job", []string{"id"}},
	"DELETE /jobs/stop":                               {"job.stop", "job", nil},
	"POST /jobs/{id}/retry":                           {"job.retry", "job", []string{"id"}},
	"POST /jobs/retry":                                {"job.retry", "job", nil},
	"POST /jobs/{id}/errors/resolve":                  {"job.errors.resolve", "job", []string{"id"}},
	"PUT /jobs/{id}/errors/{recordId}/data":           {"job.errors.edit", "record", []string{"id", "recordId"}},
	"POST /jobs/{id}/deliveries/{delivery}/redeliver": {"delivery.redeliver", "delivery", []string{"delivery"}},

	"POST /access/policies":                       {"accesspolicy.create", "accesspolicy", nil},
	"PUT /access/policies/{id}":                   {"accesspolicy.update", "accesspolicy", []string{"id"}},
	"DELETE /access/policies/{id}":                {"accesspolicy.delete", "accesspolicy", []string{"id"}},
	"POST /users/{id}/access/policies":            {"accesspolicy.give", "user", []string{"id"}},
	"PUT /users/{id}/access/policies/{policy}":    {"accesspolicy.give", "user", []string{"id"}},
	"DELETE /users/{id}/access/policies/{policy}": {"accesspolicy.take", "user", []string{"id"}},

	"POST /destinations":        {"destination.create", "destination", nil},
	"PUT /destinations/{id}":    {"destination.update", "destination", []string{"id"}},
	"DELETE /destinations/{id}": {"destination.delete", "destination", []string{"id"}},
	"POST /workers/{id}/drain":  {"worker.drain", "worker", []string{"id"}},
	"POST /workers/{id}/resume": {"worker.resume", "worker", []string{"id"}},
}

// actOf is what the log calls a route. One that the table lacks has its own name.
func actOf(method, path string) act {
	if a, ok := acts[method+" "+path]; ok {
		return a
	}
	return act{action: operationID(method, path)}
}

// audited begins the trail of a call that changes something, before anybody has looked at the call, and ends it whatever becomes of
// the call: refused, failed, broken off by a panic.
func (d *door) audited(method, path string) func(huma.Context, func(huma.Context)) {
	if !api.Changes(method) {
		return func(hc huma.Context, next func(huma.Context)) { next(hc) }
	}
	a := actOf(method, path)
	return d.server.Audited(a.action, a.kind, a.id)
}
