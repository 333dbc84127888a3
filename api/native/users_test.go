package native_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

// TestUsersAreMadeShownAndChanged goes through the routes of native.md, 3 as an admin.
func TestUsersAreMadeShownAndChanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.do("POST", "/api/users", `{"username":"ann@example.com","password":"tulips walk at dawn","email":"ann@example.com","firstName":"Ann","lastName":"Lee",
		"street":"1 Road","city":"Town","state":"ST","postalCode":"123","country":"NL","accessPolicyId":"","unknown":1}`).
		want(t, 201, `{"id":"2","username":"ann@example.com","href":"http://localhost:8080/api/users/2","email":"ann@example.com","active":true,"admin":false,"firstName":"Ann",
		"lastName":"Lee","street":"1 Road","city":"Town","state":"ST","postalCode":"123","country":"NL","superuser":false,"supportuser":false,
		"account":{"id":"1","name":"default","href":"http://localhost:8080/api/account","customerId":"1"},"created":"Mar 17, 2026 9:40:58 AM",
		"createdByUser":{"id":"1","name":"admin","href":"http://localhost:8080/api/users/1"},"lastModified":"Mar 17, 2026 9:40:58 AM"}`)
	if made.Header().Get("Location") != "http://localhost:8080/api/users/2" || strings.Contains(made.text, "tulips") || strings.Contains(made.text, "hash") {
		t.Errorf("%v %s", made.Header(), made.text)
	}
	f.do("GET", "/api/users/2", nil).want(t, 200, `{"username":"ann@example.com"}`)
	f.do("GET", "/v2/api/user", nil).want(t, 200, `{"id":"1","username":"admin","admin":true}`)
	f.do("GET", "/api/users", nil).want(t, 200, `{"totalRecords":2,"sortBy":"username","items":[{"username":"admin"},{"username":"ann@example.com"}]}`)
	f.do("GET", "/api/users?filter=LEE", nil).want(t, 200, `{"totalRecords":1,"items":[{"id":"2"}]}`)
	f.do("GET", "/api/users?active=false", nil).want(t, 200, `{"totalRecords":0}`)
	f.do("GET", "/api/users?filterby=admin&operators=eq&filter=true&sortby=created", nil).want(t, 200, `{"items":[{"id":"1"}]}`)
	f.do("GET", "/api/users?filterby=password&operators=eq&filter=x", nil).fault(t, 400, "unknown_property", "")
	f.do("GET", "/api/users?cursor=&size=1", nil).want(t, 200, `{"items":[{"id":"1"}]}`)
	f.do("GET", "/api/users/dropdown", nil).want(t, 200, `{"totalRecords":2,"items":[{"id":"1","name":"admin","href":"http://localhost:8080/api/users/1"},{"id":"2"}]}`)
	f.do("GET", "/api/users/dropdown?filterby=username&operators=eq&filter=admin", nil).want(t, 200,
		`{"totalRecords":1,"filter":{"filters":[{"fieldName":"username"}]},"filterRequest":{"filters":[{"value":"admin"}]}}`)

	f.Pass(time.Minute)
	f.do("PUT", "/api/users/2", `{"username":"ANN@example.com","email":"lee@example.com","admin":true}`).want(t, 200,
		`{"email":"lee@example.com","admin":true,"active":true,"lastModified":"Mar 17, 2026 9:41:58 AM","lastModifiedByUser":{"id":"1"}}`)
	if r := f.do("GET", "/api/users/2", nil); r.json["firstName"] != nil {
		t.Errorf("what was left out is still there: %s", r.text)
	}
	for body, code := range map[string]string{
		`{"password":"tulips walk at dawn"}`:                                                            "missing_field",
		`{"username":"bob"}`:                                                                            "missing_field",
		`{"username":"bob","password":"short"}`:                                                         "invalid_field",
		`{"username":"bob","password":"password1234"}`:                                                  "invalid_field",
		`{"username":"robertson","password":"robertson-1"}`:                                             "invalid_field",
		`{"username":"a b","password":"tulips walk at dawn"}`:                                           "invalid_field",
		`{"username":"bob","password":"tulips walk at dawn","email":"nonsense"}`:                        "invalid_field",
		`{"username":"bob","password":"tulips walk at dawn","city":"a\u0000b"}`:                         "invalid_field",
		`{"username":"bob","password":"tulips walk at dawn","city":"` + strings.Repeat("x", 256) + `"}`: "invalid_field",
	} {
		f.do("POST", "/api/users", body).fault(t, 400, code, "")
	}
	f.do("POST", "/api/users", `{"username":"Ann@Example.com","password":"tulips walk at dawn"}`).fault(t, 409, "duplicate_name", "")
	f.do("PUT", "/api/users/2", `{"username":"other"}`).fault(t, 400, "invalid_field", "username never changes")
	f.do("PUT", "/api/users/2", `{"password":"tulips walk at dusk"}`).fault(t, 400, "invalid_field", "")
	for _, path := range []string{"/api/users/99", "/api/users/x", "/api/users/01", "/api/users/99/logins", "/api/users/99/metrics"} {
		f.do("GET", path, nil).fault(t, 404, "not_found", "")
	}
	f.do("GET", "/api/users?filter=bob", nil).want(t, 200, `{"totalRecords":0}`) // nothing refused was made
}

// TestNobodyChangesTheirOwnFlags is the rule of native.md, 2; the last admin stays, too.
func TestNobodyChangesTheirOwnFlags(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bob := strconv.FormatInt(f.User(t, "bob", "tulips of the north").ID, 10)
	for _, body := range []string{`{"active":false}`, `{"admin":false}`, `{"active":false,"admin":false}`} {
		f.do("PUT", "/api/users/1", body).fault(t, 403, "access_denied", "Nobody can change their own active or admin flag")
	}
	f.do("PUT", "/api/users/1", `{"active":true,"admin":true,"firstName":"Ada"}`).want(t, 200, `{"firstName":"Ada"}`) // as they are
	f.do("PATCH", "/api/users/deactivate", `{"recordIds":["`+bob+`","1"]}`).fault(t, 403, "access_denied", "")
	f.do("PATCH", "/api/users/deactivate", `{"recordIds":["`+bob+`","99"]}`).fault(t, 404, "not_found", "User 99 not found")
	f.do("PATCH", "/api/users/deactivate", `{}`).fault(t, 400, "missing_field", "recordIds is required")
	f.do("GET", "/api/users/"+bob, nil).want(t, 200, `{"active":true}`) // all or none

	admin := f.token
	f.token = f.login("bob", "tulips of the north")
	f.do("PUT", "/api/users/"+bob, `{"admin":true}`).fault(t, 403, "access_denied", "")
	f.do("PUT", "/api/users/"+bob, `{"email":"bob@example.com"}`).want(t, 200, `{"email":"bob@example.com","admin":false}`)
	for _, call := range []string{"GET /api/users/1", "PUT /api/users/1", "GET /api/users/1/logins", "GET /api/users/1/metrics", "GET /api/account/1/logins",
		"POST /api/users", "POST /api/users/1/password", "PATCH /api/users/activate", "PATCH /api/users/deactivate"} {
		method, path, _ := strings.Cut(call, " ")
		var body any
		if method != "GET" {
			body = `{"username":"eve","password":"tulips of the south","newPassword":"tulips of the south","recordIds":["1"]}`
		}
		f.do(method, path, body).fault(t, 403, "access_denied", "")
	}
	f.do("GET", "/api/users", nil).want(t, 200, `{"totalRecords":1,"items":[{"username":"bob"}]}`)
	bobs := f.token
	f.token = admin
	f.do("PATCH", "/api/users/deactivate", `{"recordIds":["`+bob+`"]}`).want(t, 200, "")
	f.do("GET", "/api/user", nil, header("Authorization", "Bearer "+bobs)).fault(t, 401, "token_invalid", "") // at once
	f.do("POST", "/api/login", `{"username":"bob","password":"tulips of the north"}`, noToken).fault(t, 401, "user_inactive", "")
	f.do("PATCH", "/api/users/activate", `{"recordIds":["`+bob+`"]}`).want(t, 200, "")
	f.login("bob", "tulips of the north")
}

func TestPasswordsAreChangedAndSet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.User(t, "bob", "tulips of the north")
	path := "/api/users/" + strconv.FormatInt(u.ID, 10) + "/password"
	admin := f.token
	first, second := f.login("bob", "tulips of the north"), f.login("bob", "tulips of the north")
	as := func(token string) with { return header("Authorization", "Bearer "+token) }
	for body, code := range map[string]string{
		`{"newPassword":"tulips of the south"}`:                                                                        "missing_field",
		`{"oldPassword":"tulips of the north"}`:                                                                        "missing_field",
		`{"oldPassword":"tulips of the north","newPassword":"tulips of the north"}`:                                    "invalid_field",
		`{"oldPassword":"tulips of the north","newPassword":"short"}`:                                                  "invalid_field",
		`{"oldPassword":"tulips of the north","newPassword":"tulips of the south","confirmNewPassword":"another one"}`: "invalid_field",
	} {
		f.do("POST", path, body, as(first)).fault(t, 400, code, "")
	}
	f.do("POST", path, `{"oldPassword":"wrong","newPassword":"tulips of the south"}`, as(first)).fault(t, 401, "bad_credentials", "")
	f.do("GET", "/api/user", nil, as(second)).want(t, 200, "")
	f.do("POST", path, `{"oldPassword":"tulips of the north","newPassword":"tulips of the south","confirmNewPassword":"tulips of the south"}`, as(first)).want(t, 200, "")
	f.do("GET", "/api/user", nil, as(first)).want(t, 200, "")
	f.do("GET", "/api/user", nil, as(second)).fault(t, 401, "token_invalid", "") // all other logins end
	f.do("POST", "/api/login", `{"username":"bob","password":"tulips of the north"}`, noToken).fault(t, 401, "bad_credentials", "")
	third := f.login("bob", "tulips of the south")

	f.do("POST", path, `{"newPassword":"tulips of the west"}`, as(admin)).want(t, 200, "")
	for _, token := range []string{first, third} {
		f.do("GET", "/api/user", nil, as(token)).fault(t, 401, "token_invalid", "")
	}
	f.login("bob", "tulips of the west")
	// Whoever has a stolen token can not try old passwords for ever.
	stolen := f.login("bob", "tulips of the west")
	for range 9 {
		f.do("POST", path, `{"oldPassword":"guess","newPassword":"tulips of the south"}`, as(stolen)).fault(t, 401, "bad_credentials", "")
	}
	f.do("POST", path, `{"oldPassword":"guess","newPassword":"tulips of the south"}`, as(stolen)).fault(t, 401, "locked_out", "")
	f.do("POST", path, `{"oldPassword":"tulips of the west","newPassword":"tulips of the south"}`, as(stolen)).fault(t, 401, "locked_out", "")
}

func TestLoginHistoryAndMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Pass(time.Second)
	f.do("POST", "/api/login", `{"username":"admin","password":"wrong"}`, noToken).fault(t, 401, "bad_credentials", "")
	f.do("POST", "/api/login", `{"username":"my-password-typed-here","password":"wrong"}`, noToken).fault(t, 401, "bad_credentials", "")
	id := f.config("listed", "run.sh")
	f.do("POST", "/api/jobconfigs/"+id+"/jobs", nil, func(r *http.Request) { r.SetBasicAuth("admin", "example-password") }).want(t, 202, "")
	mine := f.do("GET", "/api/users/1/logins", nil).want(t, 200, `{"totalRecords":3,"sortBy":"timestamp","direction":"desc","items":[
		{"userId":1,"username":"admin","success":true,"method":"basic","address":"192.0.2.1","timestamp":1773740459000},
		{"userId":1,"username":"admin","success":false,"exception":"bad_credentials","method":"password","timestamp":1773740459000},
		{"userId":1,"username":"admin","success":true,"method":"password","timestamp":1773740458000}]}`)
	if all := f.do("GET", "/api/account/1/logins", nil).want(t, 200, `{"totalRecords":3}`); strings.Contains(all.text, "typed-here") || strings.Contains(mine.text, "typed-here") {
		t.Errorf("a name that nobody has is kept: %s", all.text)
	}
	f.do("GET", "/api/account/1/logins?filterby=success&operators=eq&filter=false", nil).want(t, 200, `{"totalRecords":1}`)
	f.do("GET", "/api/account/2/logins", nil).fault(t, 404, "not_found", "")
	f.do("GET", "/api/account/x/logins", nil).fault(t, 404, "not_found", "")

	jobID := f.start(id)
	fence := f.Take(t, 1, jobID)
	f.Pass(90 * time.Second)
	f.Finish(t, 1, jobID, fence, job.Outcome{Status: job.Completed})
	f.do("GET", "/api/users/1/metrics", nil).want(t, 200, `{"executionCount":2,"executionTime":"PT1M30S","jobTemplateCount":0,"jobConfigCount":1,
		"window":{"windowBegins":"Feb 15, 2026 9:42:29 AM","windowEnds":"Mar 17, 2026 9:42:29 AM","windowDuration":"PT720H"},"user":{"id":"1","name":"admin"}}`)
	f.Pass(2 * time.Hour)
	f.do("GET", "/api/users/1/metrics?duration=PT1H", nil).want(t, 200, `{"executionCount":0,"executionTime":"PT0S","jobConfigCount":1,"window":{"windowDuration":"PT1H"}}`)
	for _, bad := range []string{"x", "-1h", "0", "P4000D"} {
		f.do("GET", "/api/users/1/metrics?duration="+bad, nil).fault(t, 400, "invalid_field", "")
	}
}
