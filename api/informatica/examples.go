package informatica

import "waybill/api"

type members = map[string]any

// What the examples show: the job configs and jobs of the world that test/fuzzdoors makes for each of them.
const (
	exampleTask = "69b9207100000000000000a1" // "orders nightly": a job of it runs, and one has failed
	exampleIdle = "69b9207100000000000000a4" // "prices": it has no jobs
	exampleRun  = "69b9209b00000000000000c1" // the one that has failed
)

// examples show every operation, and most errors that a client has to expect.
func examples() []api.Example {
	login := members{"@type": "login", "username": "gina", "password": "example-password"}
	user := members{
		"@type": "user", "id": "2", "orgId": "1", "orgUuid": "69b91f000000000000000001", "name": "gina", "createTime": "2026-03-01T08:00:00.000Z",
		"serverUrl": "http://localhost:8080/saas", "icSessionId": "fakeSessionId000001",
		"roles": []any{members{"name": "Service Consumer"}}, "forceChangePassword": false,
	}
	success := members{"@type": "success", "statusCode": 200, "description": "Logged out"}
	wrong := func(status int, code, description string) members {
		return members{"@type": "error", "code": code, "description": description, "statusCode": status}
	}
	refused := wrong(403, "UI_10000", "User name or password is not valid.")
	expired := wrong(401, "AUTH_01", "The session is missing or has expired")
	start := func(id string) members { return members{"@type": "job", "taskId": id, "taskType": "MTT"} }
	started := members{"@type": "job", "taskId": exampleIdle, "taskName": "prices", "taskType": "MTT", "runId": 1}
	rows := func(m members) members {
		for _, name := range []string{"failedSourceRows", "successSourceRows", "failedTargetRows", "successTargetRows"} {
			m[name] = 0
		}
		return m
	}
	running := rows(members{
		"@type": "activityMonitoryEntry", "id": "69b9209b00000000000000c2", "type": "MTT", "taskId": exampleTask, "taskName": "orders nightly", "objectName": "",
		"runId": 2, "startTime": "2026-03-17T10:02:35.000Z", "startTimeUtc": "2026-03-17T14:02:35.000Z", "executionState": "RUNNING", "runtimeEnvironmentId": "1",
		"startedBy": "admin", "runContextType": "REST_API", "entries": []any{},
	})
	ended := rows(members{
		"@type": "activityLogEntry", "id": exampleRun, "type": "MTT", "objectId": exampleTask, "objectName": "orders nightly", "runId": 1, "runtimeEnvironmentId": "1",
		"startTime": "2026-03-17T10:02:35.000Z", "endTime": "2026-03-17T10:03:05.000Z", "startTimeUtc": "2026-03-17T14:02:35.000Z", "endTimeUtc": "2026-03-17T14:03:05.000Z",
		"state": 3, "totalSuccessRows": 0, "totalFailedRows": 0, "errorMsg": "The program failed", "startedBy": "admin", "runContextType": "REST_API", "isStopped": false,
		"entries": []any{},
	})
	v3 := members{"username": "gina", "password": "example-password"}
	return []api.Example{
		{Operation: "POST /ma/api/v2/user/login", Name: "in", Summary: "Log in", Body: login, Status: 200, Reply: user},
		{
			Operation: "POST /ma/api/v2/user/login", Name: "xml", Summary: "Log in, in XML", Media: "application/xml", ReplyMedia: "application/xml", Status: 200,
			Body:  "<login><username>gina</username><password>example-password</password></login>",
			Reply: `<?xml version="1.0" encoding="UTF-8"?><user><id>2</id><serverUrl>http://localhost:8080/saas</serverUrl><icSessionId>fakeSessionId000002</icSessionId></user>`,
		},
		{Operation: "POST /ma/api/v2/user/login", Name: "wrong", Summary: "A wrong password", Body: members{"username": "gina", "password": "wrong"}, Status: 401, Reply: refused},
		{Operation: "POST /ma/api/v2/user/login", Name: "missing", Summary: "No password", Body: members{"username": "gina"}, Status: 400, Reply: wrong(400, "WB_BAD_FIELD", "password is required")},
		{Operation: "POST /ma/api/v2/user/logout", Name: "out", Status: 200, Reply: success},
		{Operation: "POST /ma/api/v2/user/logoutall", Name: "all", Body: login, Status: 200, Reply: success},
		{Operation: "POST /saas/api/v2/user/logout", Name: "out", Status: 200, Reply: success},
		{Operation: "POST /saas/api/v2/user/logout", Name: "dead", Summary: "The session is over", Status: 401, Reply: expired},
		{
			Operation: "POST /saas/api/v2/user/validSessionId", Name: "dead", Body: members{"@type": "validSessionId", "userName": "gina", "icToken": "fakeSessionIdDead"}, Status: 200,
			Reply: members{"@type": "validatedToken", "isValidToken": false, "timeUntilExpire": 0},
		},
		{
			Operation: "POST /saas/public/core/v3/login", Name: "in", Body: v3, Status: 200,
			Reply: members{
				"products": []any{members{"name": "Integration Cloud", "baseApiUrl": "http://localhost:8080/saas"}},
				"userInfo": members{"sessionId": "fakeSessionId000003", "id": "2", "name": "gina", "orgId": "1"},
			},
		},
		{
			Operation: "POST /saas/public/core/v3/login", Name: "wrong", Body: members{"username": "gina", "password": "wrong"}, Status: 401,
			Reply: members{"error": members{"code": "IDS_085", "message": "User name or password is not valid.", "requestId": "69b91f00", "details": nil}},
		},
		{Operation: "POST /saas/api/v2/job", Name: "start", Summary: "Start a task", Body: start(exampleIdle), Status: 200, Reply: started},
		{
			Operation: "POST /saas/api/v2/job", Name: "xml", Summary: "The same, in XML", Media: "application/xml", ReplyMedia: "application/xml", Status: 200,
			Body:  "<job><taskName>Prices</taskName><taskType>MTT</taskType></job>",
			Reply: `<?xml version="1.0" encoding="UTF-8"?><job><taskId>` + exampleIdle + `</taskId><taskName>prices</taskName><taskType>MTT</taskType><runId>1</runId></job>`,
		},
		{
			Operation: "POST /saas/api/v2/job", Name: "running", Summary: "It runs already", Body: start(exampleTask), Status: 403,
			Reply: wrong(403, "WB_ALREADY_RUNNING", "Task orders nightly is already running (runId 2)"),
		},
		{
			Operation: "POST /saas/api/v2/job", Name: "unknown", Summary: "No such task", Body: start("000000000000000000000000"), Status: 404,
			Reply: wrong(404, "WB_NOT_FOUND", "Task 000000000000000000000000 not found"),
		},
		{
			Operation: "POST /saas/api/v2/job", Name: "type", Summary: "No such type", Body: members{"taskId": exampleIdle, "taskType": "XYZ"}, Status: 400,
			Reply: wrong(400, "WB_TASK_TYPE", "taskType XYZ is not known"),
		},
		{Operation: "POST /saas/api/v2/job", Name: "nobody", Summary: "No session", Body: start(exampleIdle), Status: 401, Reply: expired},
		{
			Operation: "POST /saas/api/v2/job/stop", Name: "stop", Summary: "Stop what runs", Body: start(exampleTask), Status: 200,
			Reply: members{"@type": "success", "statusCode": 200, "description": "Stop requested for task orders nightly, runId 2"},
		},
		{
			Operation: "POST /saas/api/v2/job/stop", Name: "idle", Summary: "Nothing runs", Body: start(exampleIdle), Status: 403,
			Reply: wrong(403, "WB_NOT_RUNNING", "Task prices is not running"),
		},
		{Operation: "GET /saas/api/v2/activity/activityMonitor", Name: "all", Parameters: map[string]string{"details": "true"}, Status: 200, Reply: []any{running}},
		{
			Operation: "GET /saas/api/v2/activity/activityLog", Name: "run", Parameters: map[string]string{"taskId": exampleTask, "runId": "1"}, Status: 200,
			Reply: []any{ended},
		},
		{
			Operation: "GET /saas/api/v2/activity/activityLog", Name: "lonely", Summary: "runId needs taskId", Parameters: map[string]string{"runId": "1"}, Status: 400,
			Reply: wrong(400, "WB_BAD_FIELD", "runId needs taskId"),
		},
		{Operation: "GET /saas/api/v2/activity/activityLog/{id}", Name: "run", Parameters: map[string]string{"id": exampleRun}, Status: 200, Reply: ended},
		{
			Operation: "GET /saas/api/v2/activity/activityLog/{id}", Name: "unknown", Parameters: map[string]string{"id": "000000000000000000000000"}, Status: 404,
			Reply: wrong(404, "WB_NOT_FOUND", "Log entry 000000000000000000000000 not found"),
		},
		{
			Operation: "GET /saas/api/v2/activity/activityLog/{id}/sessionLog", Name: "log", Parameters: map[string]string{"id": exampleRun}, Status: 200,
			Reply: "read 120 rows, wrote 120 rows", ReplyMedia: "text/plain",
		},
		{
			Operation: "GET /saas/api/v2/activity/errorLog/{id}", Name: "errors", Parameters: map[string]string{"id": exampleRun}, Status: 200,
			Reply: "recordId,step,code,message\nr1,load,422,no\n", ReplyMedia: "text/csv",
		},
		{
			Operation: "GET /saas/api/v2/task", Name: "all", Parameters: map[string]string{"type": "MTT"}, Status: 200,
			Reply: []any{members{"@type": "task", "id": exampleTask, "orgId": "1", "name": "orders nightly"}},
		},
		{
			Operation: "POST /saas/api/v2/schedule", Name: "nightly", Status: 200,
			Body:  members{"@type": "schedule", "name": "nightly", "startTime": "2026-03-18T02:00:00.000Z", "interval": "Daily", "frequency": 1},
			Reply: members{"@type": "schedule", "id": "9", "orgId": "1", "name": "nightly", "interval": "Daily", "frequency": 1},
		},
		{
			Operation: "POST /saas/api/v2/schedule", Name: "cron", Summary: "No such interval", Status: 400,
			Body:  members{"@type": "schedule", "name": "other", "startTime": "2026-03-18T02:00:00.000Z", "interval": "Cron"},
			Reply: wrong(400, "WB_BAD_FIELD", "interval 'Cron' is not known"),
		},
		{Operation: "GET /saas/api/v2/schedule", Name: "none", Status: 200, Reply: []any{}},
		{Operation: "GET /saas/api/v2/schedule/name/{name}", Name: "unknown", Parameters: map[string]string{"name": "weekly"}, Status: 404, Reply: wrong(404, "WB_NOT_FOUND", "Schedule weekly not found")},
		{Operation: "GET /saas/api/v2/schedule/{id}", Name: "unknown", Parameters: map[string]string{"id": "99"}, Status: 404, Reply: wrong(404, "WB_NOT_FOUND", "Schedule 99 not found")},
		{Operation: "DELETE /saas/api/v2/schedule/{id}", Name: "unknown", Parameters: map[string]string{"id": "99"}, Status: 404, Reply: wrong(404, "WB_NOT_FOUND", "Schedule 99 not found")},
		{
			Operation: "POST /saas/api/v2/schedule/{id}", Name: "unknown", Parameters: map[string]string{"id": "99"}, Body: members{"name": "weekly"}, Status: 404,
			Reply: wrong(404, "WB_NOT_FOUND", "Schedule 99 not found"),
		},
		{
			Operation: "POST /saas/api/v2/mttask/{id}", Name: "unknown", Parameters: map[string]string{"id": "000000000000000000000000"}, Body: members{"scheduleId": "9"}, Status: 404,
			Reply: wrong(404, "WB_NOT_FOUND", "Task 000000000000000000000000 not found"),
		},
	}
}
