package native

import "waybill/api"

type members = map[string]any

// examples show what most clients do, and what they are told when it goes wrong: on the job configs and jobs of the world that
// test/fuzzdoors makes for each of them.
func examples() []api.Example {
	wrong := func(status int, reason, message, path, code string) members {
		return members{"timestamp": "Mar 17, 2026 9:40:58 AM", "status": status, "error": reason, "message": message, "path": path, "code": code}
	}
	ref := func(kind, id, name string) members {
		return members{"id": id, "name": name, "href": "http://localhost:8080/api/" + kind + "/" + id}
	}
	config := members{
		"id": "5", "objectId": "69b9207100000000000000a5", "active": true, "blocking": false, "favorite": false, "name": "sample config",
		"href": "http://localhost:8080/api/jobconfigs/5", "user": ref("users", "1", "admin"), "created": "Mar 17, 2026 9:41:05 AM", "lastModified": "Mar 17, 2026 9:41:05 AM",
	}
	job := func(id, status, config, name string, run int) members {
		return members{
			"id": id, "href": "http://localhost:8080/api/jobs/" + id, "status": status, "runNumber": run, "attempt": 1, "scheduled": "Mar 17, 2026 9:41:47 AM",
			"finalDestinationId": "1", "jobConfig": ref("jobconfigs", config, name), "submittedByUser": ref("users", "1", "admin"),
		}
	}
	const failed, waits = "69b9209b00000000000000c1", "69b9209b00000000000000c3"
	key := map[string]string{"id": "4", "Idempotency-Key": "run-2026-03-17"}
	list := func(items ...any) members {
		return members{"totalRecords": 1, "totalPages": 1, "size": 25, "pageNumber": 0, "warnings": []any{}, "links": members{}, "items": items}
	}
	return []api.Example{
		{
			Operation: "POST /login", Name: "in", Summary: "Log in", Body: members{"username": "admin", "password": "example-password"}, Status: 200,
			Reply: members{"access_token": "fake.access.token", "token_type": "bearer", "refresh_token": "fake-refresh-token-1", "expires_in": 36000},
		},
		{
			Operation: "POST /login", Name: "wrong", Summary: "A wrong password", Body: members{"username": "admin", "password": "wrong"}, Status: 401,
			Reply: wrong(401, "Unauthorized", "Bad credentials", "/api/login", "bad_credentials"),
		},
		{
			Operation: "POST /login", Name: "missing", Summary: "No password", Body: members{"username": "admin"}, Status: 400,
			Reply: wrong(400, "Bad Request", "password is required", "/api/login", "missing_field"),
		},
		{Operation: "POST /logout", Name: "out", Status: 204},
		{
			Operation: "GET /jobconfigs", Name: "nobody", Summary: "No token", Status: 401,
			Reply: wrong(401, "Unauthorized", "Access token is missing", "/api/jobconfigs", "token_missing"),
		},
		{
			Operation: "GET /jobconfigs", Name: "search", Summary: "By a part of the name", Parameters: map[string]string{"filter": "night", "sortby": "name"}, Status: 200,
			Reply: list(members{"id": "1", "name": "orders nightly"}),
		},
		{
			Operation: "POST /jobconfigs", Name: "create", Body: members{"active": true, "name": "sample config", "description": "made by a client"}, Status: 201, Reply: config,
		},
		{
			Operation: "POST /jobconfigs", Name: "taken", Summary: "The name is taken", Body: members{"name": "Orders Nightly"}, Status: 409,
			Reply: wrong(409, "Conflict", "A job config named 'Orders Nightly' already exists", "/api/jobconfigs", "duplicate_name"),
		},
		{Operation: "GET /jobconfigs/{id}", Name: "config", Parameters: map[string]string{"id": "1"}, Status: 200, Reply: members{"id": "1", "name": "orders nightly", "active": true}},
		{
			Operation: "GET /jobconfigs/{id}", Name: "unknown", Parameters: map[string]string{"id": "9999"}, Status: 404,
			Reply: wrong(404, "Not Found", "Job config 9999 not found", "/api/jobconfigs/9999", "not_found"),
		},
		{Operation: "PATCH /jobconfigs/{id}", Name: "rename", Parameters: map[string]string{"id": "4"}, Body: members{"description": "every night"}, Status: 200, Reply: members{"id": "4", "description": "every night"}},
		{Operation: "DELETE /jobconfigs/{id}", Name: "delete", Parameters: map[string]string{"id": "4"}, Status: 204},
		{
			Operation: "POST /jobconfigs/{id}/jobs", Name: "start", Parameters: key, Status: 202,
			Body: members{"runtimeConfig": members{"macros": []any{members{"key": "TARGET", "value": "/data/out"}}}}, Reply: job("69b9209b00000000000000c7", "QUEUED", "4", "prices", 1),
		},
		{
			Operation: "POST /jobconfigs/{id}/jobs", Name: "unknown", Parameters: map[string]string{"id": "9999"}, Status: 404,
			Reply: wrong(404, "Not Found", "Job config 9999 not found", "/api/jobconfigs/9999/jobs", "not_found"),
		},
		{
			Operation: "POST /jobconfigs/{id}/schedule", Name: "nightly", Parameters: map[string]string{"id": "4"}, Status: 201,
			Body:  members{"name": "nightly", "type": "cron", "cronSchedule": "0 25 13 1 * ? *", "timeZone": members{"id": "America/Chicago"}},
			Reply: members{"name": "nightly", "type": "cron", "cronSchedule": "0 25 13 1 * ? *", "resourceId": "4", "resourceType": "jobconfigs"},
		},
		{
			Operation: "POST /jobconfigs/{id}/schedule", Name: "often", Summary: "More than once a minute", Parameters: map[string]string{"id": "4"}, Status: 400,
			Body:  members{"name": "fast", "type": "cron", "cronSchedule": "*/5 * * * * ?"},
			Reply: wrong(400, "Bad Request", "cronSchedule fires more than once a minute", "/api/jobconfigs/4/schedule", "invalid_cron"),
		},
		{
			Operation: "GET /jobs", Name: "unknown", Summary: "A property that jobs have not", Status: 400,
			Parameters: map[string]string{"filterby": "colour", "operators": "eq", "filter": "red"},
			Reply:      wrong(400, "Bad Request", "Unknown property 'colour'", "/api/jobs", "unknown_property"),
		},
		{Operation: "GET /jobs/{id}", Name: "job", Parameters: map[string]string{"id": failed}, Status: 200, Reply: job(failed, "ERROR", "1", "orders nightly", 1)},
		{Operation: "DELETE /jobs/{id}", Name: "stop", Parameters: map[string]string{"id": waits}, Status: 202, Reply: job(waits, "CANCELLED", "2", "stock hourly", 1)},
		{
			Operation: "DELETE /jobs/{id}", Name: "over", Summary: "It has ended", Parameters: map[string]string{"id": failed}, Status: 409,
			Reply: wrong(409, "Conflict", "Job "+failed+" has already finished", "/api/jobs/"+failed, "job_finished"),
		},
		{
			Operation: "POST /jobs/{id}/retry", Name: "retry", Parameters: map[string]string{"id": failed}, Body: members{"scope": "failed_step"}, Status: 202,
			Reply: members{"status": "QUEUED", "retryOf": failed, "rootJob": failed, "retryNumber": 1},
		},
		{
			Operation: "GET /jobs/{id}/errors", Name: "open", Parameters: map[string]string{"id": failed, "resolved": "false"}, Status: 200,
			Reply: members{"totalRecords": 2, "items": []any{members{"recordId": "r1", "step": "load", "code": "422", "message": "no", "resolved": false, "hasData": true}}},
		},
		{Operation: "GET /jobs/{id}/log", Name: "log", Parameters: map[string]string{"id": failed}, Status: 200, Reply: "2026-03-17T09:40:58.000Z read 120 rows", ReplyMedia: "application/octet-stream"},
	}
}
