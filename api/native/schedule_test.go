package native_test

import (
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

func TestScheduleExchanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config("sample config", "run.sh")
	const path = "/api/jobconfigs/1/schedule"
	for _, method := range []string{"GET", "DELETE"} {
		f.do(method, path, nil).fault(t, 404, "not_found", "Job config 1 has no schedule")
	}
	f.do("PUT", path, `{"type":"interval","intervalFrequency":"15m"}`).fault(t, 404, "not_found", "")
	// N-17
	r := f.do("POST", path, `{"name":"monthly","type":"cron","cronSchedule":"0 25 13 1 * ? *","timeZone":{"id":"America/Chicago"}}`)
	r.want(t, 201, `{"name":"monthly","type":"cron","cronSchedule":"0 25 13 1 * ? *","nextFireTime":"Apr 1, 2026 6:25:00 PM",
		"timeZone":{"id":"America/Chicago"},"timeZoneShortId":"CDT","timeZoneOffset":{"id":"-05:00","totalSeconds":-18000},"resourceId":"1","resourceType":"jobconfigs",
		"overlap":"allow","catchUpWindow":"PT10M","paused":false,"runs":0}`)
	if got := r.Header().Get("Location"); got != "http://localhost:8080"+path {
		t.Error(got)
	}
	f.do("POST", path, `{"name":"other","type":"interval","intervalFrequency":"15m"}`).
		fault(t, 409, "schedule_exists", "Job config 1 already has a schedule")
	f.do("PUT", path, `{"name":"fast","type":"cron","cronSchedule":"*/5 * * * * ?"}`).
		fault(t, 400, "invalid_cron", "cronSchedule fires more than once a minute")
	f.do("GET", path, nil).want(t, 200, `{"name":"monthly"}`)
	f.do("GET", "/api/jobconfigs/1", nil).want(t, 200, `{"schedule":"0 25 13 1 * ? *","nextFireTime":"Apr 1, 2026 6:25:00 PM"}`)
	f.do("GET", "/api/jobconfigs", nil).want(t, 200, `{"items":[{"nextFireTime":"Apr 1, 2026 6:25:00 PM"}]}`)
	f.do("GET", path+"/next?count=2", nil, header("Prefer", "dates=rfc3339")).
		want(t, 200, `{"items":["2026-04-01T18:25:00Z","2026-05-01T18:25:00Z"]}`)

	f.do("POST", path+"/pause", `{"note":"holiday"}`).want(t, 200, `{"paused":true,"note":"holiday"}`)
	if r := f.do("GET", "/api/jobconfigs/1", nil); strings.Contains(r.text, "nextFireTime") {
		t.Errorf("a paused schedule fires next: %s", r.text)
	}
	if s, ok := f.ScheduleEngine.Schedule(1); !ok || !s.Paused || s.Note != "holiday" {
		t.Errorf("the engine has %+v", s)
	}
	f.do("GET", path+"/next", nil).want(t, 200, `{"items":[]}`)
	f.do("POST", path+"/resume", nil).want(t, 200, `{"paused":false}`)
	f.do("POST", path+"/run", nil).want(t, 202, "")
	f.do("POST", path+"/backfill", `{"from":"2026-01-01T00:00:00Z","to":"Mar 1, 2026 7:25:00 PM"}`).want(t, 202, `{"fires":3}`)
	if runs, fills := f.ScheduleEngine.Fired(); len(runs) != 1 || len(fills) != 1 || !fills[0].From.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("runs %v, backfills %v", runs, fills)
	}
	f.do("GET", path+"/fires", nil).want(t, 200, `{"items":[]}`)
	f.do("PUT", path, `{"type":"interval","intervalFrequency":"PT15M"}`).
		want(t, 200, `{"type":"interval","intervalFrequency":"PT15M","nextFireTime":"Mar 17, 2026 9:45:00 AM","timeZone":{"id":"UTC"}}`)
	f.do("DELETE", path, nil).want(t, 204, "")
	if _, ok := f.ScheduleEngine.Schedule(1); ok {
		t.Error("the engine keeps a schedule that is gone")
	}
}

func TestSchedulesThatAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config("sample config", "run.sh")
	const path = "/api/jobconfigs/1/schedule"
	for body, want := range map[string]string{
		`{}`:                  "missing_field",
		`{"type":"cron"}`:     "missing_field",
		`{"type":"interval"}`: "missing_field",
		`{"type":"weekly","cronSchedule":"0 0 * * *"}`:                                                            "invalid_field",
		`{"cronSchedule":"0 0 * *"}`:                                                                              "invalid_cron",
		`{"cronSchedule":"0 0 0 31 2 ?"}`:                                                                         "invalid_cron",
		`{"cronSchedule":"0 0 0 1 1 ? 2020"}`:                                                                     "invalid_cron",
		`{"cronSchedule":"0 0 * * *","timeZone":{"id":"Mars/Olympus"}}`:                                           "invalid_time_zone",
		`{"type":"interval","intervalFrequency":"30s"}`:                                                           "invalid_field",
		`{"type":"interval","intervalFrequency":"soon"}`:                                                          "invalid_field",
		`{"cronSchedule":"0 0 * * *","overlap":"maybe"}`:                                                          "invalid_field",
		`{"cronSchedule":"0 0 * * *","catchUpWindow":"1s"}`:                                                       "invalid_field",
		`{"cronSchedule":"0 0 * * *","jitter":"x"}`:                                                               "invalid_field",
		`{"cronSchedule":"0 0 * * *","maxRuns":-1}`:                                                               "invalid_field",
		`{"cronSchedule":"0 0 * * *","startDate":"2027-01-01T00:00:00Z","endDate":"2026-01-01T00:00:00Z"}`:        "invalid_field",
		`{"cronSchedule":"0 0 * * *","startDate":true}`:                                                           "invalid_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{}}`:                                                         "missing_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"endpoint":"ftp://example.com"}}`:                           "invalid_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"endpoint":"https://u:p@example.com"}}`:                     "invalid_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"method":"DELETE","endpoint":"https://example.com"}}`:       "invalid_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"endpoint":"https://example.com","headers":{"X\n":"v"}}}`:   "invalid_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"endpoint":"https://example.com","headers":{"X-Kept":""}}}`: "invalid_field",
		`{"name":"a\u0000b","cronSchedule":"0 0 * * *"}`:                                                          "invalid_field",
		`{"note":"a\nb","cronSchedule":"0 0 * * *"}`:                                                              "invalid_field",
		`{"cronSchedule":"0 0 * * *","jitter":"-5m"}`:                                                             "invalid_field",
		`{"cronSchedule":"0 0 * * *","jitter":"25h"}`:                                                             "invalid_field",
		`{"cronSchedule":"0 0 * * *","catchUpWindow":"9999999h"}`:                                                 "invalid_field",
		`{"cronSchedule":"0 0 * * *","endDate":"0001-01-01T00:00:00Z"}`:                                           "invalid_field",
		`{"cronSchedule":"0 0 * * *","endDate":9e18}`:                                                             "invalid_field",
		`{"type":"interval","intervalFrequency":"PT5124096H"}`:                                                    "invalid_field",
		`{"type":"interval","intervalFrequency":"9223372036854775807h"}`:                                          "invalid_field",
		`{"type":"interval","intervalFrequency":"367d"}`:                                                          "invalid_field",
		`{"type":"interval","intervalFrequency":"-15m"}`:                                                          "invalid_field",
		`{"type":"interval","intervalFrequency":"PT90.5S"}`:                                                       "invalid_field",
		`{"cronSchedule":"0 0 * * *","timeZone":{"id":"Local"}}`:                                                  "invalid_time_zone",
		`{"cronSchedule":"0 0 * * *","timeZone":{"id":"right/UTC"}}`:                                              "invalid_time_zone",
		`{"cronSchedule":"0 0 * * *","timeZone":{"id":"../../etc/passwd"}}`:                                       "invalid_time_zone",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"endpoint":"http://127.0.0.1/x"}}`:                          "invalid_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"endpoint":"https://example.com","headers":{"Host":"v"}}}`:  "invalid_field",
		`{"cronSchedule":"0 0 * * *","webhookConfig":{"endpoint":"https://e.com","headers":{"A":"v","a":"v"}}}`:   "invalid_field",
	} {
		f.do("POST", path, body).fault(t, 400, want, "")
	}
	f.do("GET", path, nil).fault(t, 404, "not_found", "")
	f.do("POST", path, `{"cronSchedule":"0 0 * * *"}`).want(t, 201, `{"type":"cron"}`)
	for _, q := range []string{"?count=0", "?count=101", "?count=x"} {
		f.do("GET", path+"/next"+q, nil).fault(t, 400, "invalid_field", "")
		f.do("GET", path+"/fires"+q, nil).fault(t, 400, "invalid_field", "")
	}
	for body, want := range map[string]string{
		`{}`: "missing_field", `{"from":"2026-01-01T00:00:00Z","to":"2025-01-01T00:00:00Z"}`: "invalid_field",
		`{"from":"2026-01-01T00:00:00Z","to":"2027-01-01T00:00:00Z"}`: "invalid_field", `{"from":"2000-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}`: "invalid_field",
		`{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","overlap":"x"}`: "invalid_field",
	} {
		f.do("POST", path+"/backfill", body).fault(t, 400, want, "")
	}
	f.do("GET", "/api/jobconfigs/7/schedule", nil).fault(t, 404, "not_found", "Job config 7 not found")
	f.Account(t, "other", "eve", "password-of-eve")
	f.token = f.login("eve", "password-of-eve")
	for _, call := range []string{"GET ", "PUT ", "POST ", "DELETE ", "POST /pause", "POST /resume", "POST /run", "POST /backfill", "GET /next", "GET /fires"} {
		method, rest, _ := strings.Cut(call, " ")
		f.do(method, path+rest, `{"cronSchedule":"0 0 * * *"}`).fault(t, 404, "not_found", "")
	}
}

func TestWebhookHeadersAreNeverShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config("sample config", "run.sh")
	const path = "/api/jobconfigs/1/schedule"
	body := `{"cronSchedule":"0 0 * * *","webhookConfig":{"method":"put","endpoint":"https://example.com/hook","payload":"{}","headers":{"X-Key":"top-secret"}}}`
	r := f.do("POST", path, body)
	r.want(t, 201, `{"webhookConfig":{"method":"PUT","endpoint":"https://example.com/hook","payload":"{}","headers":{"X-Key":""}}}`)
	f.do("PUT", path, strings.Replace(body, "top-secret", "", 1)).want(t, 200, "")
	if r := f.do("GET", path, nil); strings.Contains(r.text, "top-secret") || strings.Contains(r.text, "lastExecution") {
		t.Error(r.text)
	}
	at := time.Date(2026, 3, 17, 0, 0, 0, 0, time.UTC)
	if _, err := f.Fires.Take(t.Context(), contract.TakeFireInput{AccountID: 1, ConfigID: 1, At: at, Started: at}); err != nil {
		t.Fatal(err)
	}
	d, found, err := f.Deliveries.LastWebhook(t.Context(), 1, "schedule/1")
	if err != nil || !found || strings.Contains(d.Headers, "top-secret") || d.Headers == "" {
		t.Fatal(d, found, err)
	}
	run := f.Store.(control.DeliveryRun)
	for i, one := range []struct {
		try    job.DeliveryAttempt
		status job.DeliveryStatus
		want   string
	}{
		{job.DeliveryAttempt{Code: 503, Error: "HTTP 503"}, job.DeliveryDelivering, `"lastExecutionStatusCode":"503","lastExecutionMessage":"HTTP 503"`},
		{job.DeliveryAttempt{Code: 202}, job.DeliveryDelivered, `"lastExecutionStatusCode":"202","lastExecutionMessage":"Delivered"`},
	} {
		one.try.Number, one.try.Round, one.try.At = i+1, 1, f.Now()
		if err := run.RecordAttempt(t.Context(), 1, d.ID, one.try, one.status, time.Time{}); err != nil {
			t.Fatal(err)
		}
		f.do("GET", path, nil).want(t, 200, `{"webhookConfig":{`+one.want+`,"lastExecutionTime":"Mar 17, 2026 9:40:58 AM","lastDeliveryId":"`+d.ID+`"}}`)
	}
}

func TestTheScheduleMemberOfAJobConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", "/api/jobconfigs", `{"name":"bad","schedule":"0 0 31 2 *"}`).fault(t, 400, "invalid_cron", "cronSchedule never fires")
	f.do("POST", "/api/jobconfigs", `{"name":"good","schedule":"30 9 * * *"}`).
		want(t, 201, `{"id":"1","schedule":"30 9 * * *","nextFireTime":"Mar 18, 2026 9:30:00 AM"}`)
	const path = "/api/jobconfigs/1"
	f.do("PUT", path+"/schedule", `{"name":"kept","cronSchedule":"0 25 13 1 * ? *","timeZone":{"id":"America/Chicago"}}`).want(t, 200, "")
	f.do("PUT", path, `{"name":"good","schedule":"0 25 13 1 * ? *"}`).want(t, 200, `{"nextFireTime":"Apr 1, 2026 6:25:00 PM"}`) // as it was read
	f.do("PUT", path, `{"name":"good"}`).want(t, 200, `{"schedule":"0 25 13 1 * ? *"}`)
	f.do("PATCH", path, `{"schedule":"0 0 12 * * ?"}`).want(t, 200, `{"nextFireTime":"Mar 17, 2026 12:00:00 PM"}`)
	f.do("GET", path+"/schedule", nil).want(t, 200, `{"name":"kept","timeZone":{"id":"UTC"}}`)
	f.do("PATCH", path, `{"schedule":null}`).want(t, 200, "")
	f.do("GET", path+"/schedule", nil).fault(t, 404, "not_found", "")
	f.do("PATCH", path, `{"schedule":""}`).want(t, 200, "")
	// An interval is not shown in this member: who sends back what was read must not lose it.
	f.do("POST", path+"/schedule", `{"type":"interval","intervalFrequency":"15m"}`).want(t, 201, "")
	if r := f.do("GET", path, nil); strings.Contains(r.text, `"schedule":`) {
		t.Error(r.text)
	}
	f.do("PUT", path, `{"name":"good"}`).want(t, 200, `{"nextFireTime":"Mar 17, 2026 9:45:00 AM"}`)
	f.do("PATCH", path, `{"schedule":"not a pattern","description":"never stored"}`).fault(t, 400, "invalid_cron", "")
	f.do("PUT", path, `{"name":"never stored","schedule":"* * * * * ?"}`).fault(t, 400, "invalid_cron", "")
	if r := f.do("GET", path, nil); strings.Contains(r.text, "never stored") {
		t.Error(r.text)
	}
	f.do("PUT", path, `{"name":"good","schedule":null}`).want(t, 200, "")
	f.do("GET", path+"/schedule", nil).fault(t, 404, "not_found", "")
}

func TestPuttingAScheduleKeepsItPaused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config("sample config", "run.sh")
	const path = "/api/jobconfigs/1/schedule"
	f.do("POST", path, `{"cronSchedule":"0 0 * * *","paused":true,"note":"not yet"}`).want(t, 201, `{"paused":true,"note":"not yet"}`)
	f.do("PUT", path, `{"cronSchedule":"0 1 * * *"}`).want(t, 200, `{"cronSchedule":"0 1 * * *","paused":true,"note":"not yet"}`)
	f.do("PUT", path, `{"cronSchedule":"0 1 * * *","paused":false,"note":""}`).want(t, 200, `{"paused":false,"nextFireTime":"Mar 18, 2026 1:00:00 AM"}`)
}

func TestAScheduleOutlivesAnEngineThatIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config("sample config", "run.sh")
	f.ScheduleEngine.SetDown(true)
	const path = "/api/jobconfigs/1/schedule"
	f.do("POST", path, `{"cronSchedule":"0 0 * * *"}`).want(t, 201, `{"warnings":["`+control.WarnUnreachable+`"]}`)
	f.do("POST", path+"/pause", nil).want(t, 200, `{"paused":true,"warnings":["engine_unreachable"]}`)
	f.do("POST", path+"/run", nil).fault(t, 503, "dependency_down", "")
	f.do("DELETE", path, nil).want(t, 204, "")
}
