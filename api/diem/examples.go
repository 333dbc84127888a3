package diem

import "waybill/api"

type members = map[string]any

// examples show every function, on the job configs and files of the world that test/fuzzdoors makes for each of them.
func examples() []api.Example {
	const (
		runs = "69b9207100000000000000a1" // "orders nightly": a run of it goes on, and one has failed
		idle = "69b9207100000000000000a4" // "prices": it never ran
		none = "000000000000000000000000"
	)
	row := members{"id": runs, "name": "orders nightly", "description": "", "type": "pycustom", "status": "Running", "executor": "nodepy"}
	return []api.Example{
		{Operation: "POST /api/apijob", Name: "start", Body: members{"id": idle}, Status: 200, Reply: members{"message": "job started"}},
		{Operation: "POST /api/apijob", Name: "again", Summary: "It runs", Body: members{"id": runs, "action": "start"}, Status: 200, Reply: members{"message": "job already running"}},
		{Operation: "POST /api/apijob", Name: "status", Body: members{"id": runs, "action": "status"}, Status: 200, Reply: members{"message": "Running"}},
		{Operation: "POST /api/apijob", Name: "stop", Body: members{"id": runs, "action": "stop"}, Status: 200, Reply: members{"message": "job stopped"}},
		{
			Operation: "POST /api/apijob", Name: "unknown", Summary: "No such document", Body: members{"id": none}, Status: 200,
			Reply: members{"error": "document " + none + " could not be found"},
		},
		{
			Operation: "POST /api/apijob", Name: "dance", Summary: "No such action", Body: members{"id": runs, "action": "dance"}, Status: 200,
			Reply: members{"message": "not a valid method", "action": "dance"},
		},
		{Operation: "POST /api/jobactions", Name: "start", Body: members{"id": idle, "action": "start"}, Status: 200, Reply: true},
		{
			Operation: "POST /api/jobactions", Name: "unknown", Body: members{"id": none, "action": "start"}, Status: 404,
			Reply: members{"message": "document " + none + " not found"},
		},
		{
			Operation: "POST /api/services", Name: "idle", Summary: "No worker is there", Body: members{"id": idle, "params": members{"action": "randstring", "payload": 16}}, Status: 503,
			Reply: members{"message": "No Executor is available to handle your request", "status": 503},
		},
		{Operation: "POST /api/services", Name: "bad", Summary: "Not an id", Body: members{"id": "bad"}, Status: 406, Reply: "Invalid id: bad", ReplyMedia: "text/plain"},
		{Operation: "POST /api/jobs", Name: "search", Body: members{"search": "name", "reference": "orders", "rows": 10}, Status: 200, Reply: []any{row}},
		{Operation: "POST /api/jobdetail", Name: "one", Body: members{"id": runs}, Status: 200, Reply: members{"id": runs, "name": "orders nightly", "status": "Running"}},
		{
			Operation: "POST /api/jobdetail", Name: "none", Body: members{}, Status: 404,
			Reply: members{"message": "No or incorrect Document ID Provided"},
		},
		{Operation: "POST /api/joblog", Name: "failed", Body: members{"status": "Failed"}, Status: 200, Reply: []any{members{"logid": runs, "name": "orders nightly", "status": "Failed", "runid": "69b9209b00000000000000c1"}}},
		{Operation: "POST /api/pipelinejobs", Name: "steps", Body: members{"id": runs}, Status: 200, Reply: []any{}},
		{Operation: "POST /api/getfiles", Name: "list", Body: members{"selector": "li"}, Status: 200, Reply: []any{members{"id": "lib.sh", "file": "lib.sh", "name": "lib.sh", "size": 3}}},
		{Operation: "POST /api/fileupload", Name: "store", Media: "multipart/form-data", Body: members{"file": "id,price\n1,2\n"}, Status: 200, Reply: members{"message": "files Upload Started", "success": true}},
		{Operation: "POST /api/filedownload", Name: "text", Body: members{"id": "lib.sh"}, Status: 200, Reply: members{"filename": "lib.sh", "contenttype": "application/octet-stream", "data": "lib"}},
		{Operation: "POST /api/filedelete", Name: "gone", Body: members{"id": "none.sh"}, Status: 200, Reply: members{"success": true}},
	}
}
