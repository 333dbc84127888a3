package native

import "waybill/internal/job"

// forJobs are the operations that a program may call with the token its job was given (SESSION_ID): what it needs to know itself, to
// read and keep files of its config, and to start other jobs and follow them. What is not in it is refused, so a new route is
// closed to jobs until somebody thinks of it. What the program may do with which of the records is the use cases' matter.
var forJobs = func() map[string]bool {
	routes := map[string]bool{
		"POST /logout": true, // without effect: the token ends with the attempt

		"GET /jobconfigs": true, "GET /jobconfigs/dropdown": true, "GET /jobconfigs/{id}": true,
		"GET /jobconfigs/{id}/schedule": true, "GET /jobconfigs/{id}/schedule/next": true,
		"GET /jobconfigs/{id}/schedule/fires": true, "POST /jobconfigs/{id}/schedule/run": true,
		"GET /jobconfigs/{id}/jobs": true, "POST /jobconfigs/{id}/jobs": true,
		"GET /jobconfigs/{id}/package/entrypoints": true,

		"GET /jobs": true, "GET /jobs/pending": true, "GET /jobs/running": true, "GET /jobs/unfinished": true, "GET /jobstats": true,
		"GET /jobs/{id}": true, "DELETE /jobs/{id}": true, "DELETE /jobs/stop": true,
		"POST /jobs/{id}/retry": true, "POST /jobs/retry": true,
		"GET /jobs/{id}/family": true, "GET /jobs/{id}/steps": true, "GET /jobs/{id}/attempts": true, "GET /jobs/{id}/attempts/{number}": true,
		"GET /jobs/{id}/attempts/{number}/log": true, "GET /jobs/{id}/log": true, "GET /jobs/{id}/events": true, "GET /events": true,
		"GET /jobs/{id}/package": true, "GET /jobs/{id}/out": true, "GET /jobs/{id}/out/{messagename}": true,
		"GET /jobs/{id}/out/{messagename}/text": true, "GET /jobs/{id}/out/files": true, "GET /jobs/{id}/out/files/{key}": true,
		"GET /jobs/{id}/errors": true, "GET /jobs/{id}/errors/{recordId}/data": true, "PUT /jobs/{id}/errors/{recordId}/data": true,
		"POST /jobs/{id}/errors/resolve": true,

		"GET /account": true, "GET /destinations": true, "GET /destinations/{id}": true, "GET /access/authorize": true, "GET /user": true,
	}
	for _, owner := range []string{"/jobconfigs/{id}", "/account/{id}", "/users/{id}"} {
		for _, route := range []string{"/files", "/files/{key}", "/files/{key}/versions", "/files/entrypoints/{key}"} {
			routes["GET "+owner+route] = true
		}
	}
	for _, route := range []string{"POST /jobconfigs/{id}/files", "PUT /jobconfigs/{id}/files/{key}", "DELETE /jobconfigs/{id}/files/{key}"} {
		routes[route] = true
	}
	return routes
}()

// closedToJobs refuses the token of a job on a route that no job needs.
func closedToJobs(a job.Actor, method, path string) error {
	if a.Job == nil || forJobs[method+" "+path] {
		return nil
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "The token of a job is not good for %s %s", method, path)
}
