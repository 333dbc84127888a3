package native

import (
	"net/http"

	"waybill/internal/job"
)

// runRoutes are the routes that an API key with the scope "run" is for: they start, stop and retry jobs (native.md, 2). Those below a
// listener begin with its path.
var runRoutes = map[string]bool{
	"POST /jobconfigs/{id}/jobs":              true,
	"POST /jobconfigs/{id}/listener":          true,
	"POST /jobconfigs/{id}/listener/file":     true,
	"POST /listener/{alias}":                  true,
	"POST /jobs/package":                      true,
	"DELETE /jobs/{id}":                       true,
	"DELETE /jobs/stop":                       true,
	"POST /jobs/{id}/retry":                   true,
	"POST /jobs/retry":                        true,
	"POST /jobconfigs/{id}/schedule/run":      true,
	"POST /jobconfigs/{id}/schedule/backfill": true,
}

// scopeOf is the scope that an API key needs for a route.
func scopeOf(method, path string) job.KeyScope {
	switch {
	case method == http.MethodGet || method == http.MethodHead:
		return job.ScopeRead
	case runRoutes[method+" "+path]:
		return job.ScopeRun
	}
	return job.ScopeWrite
}

// checkScope refuses a key that is not for the route.
func checkScope(a job.Actor, need job.KeyScope) error {
	if a.Key.Allows(need) {
		return nil
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "The API key has not the scope %s", need)
}
