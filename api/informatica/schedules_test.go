package informatica_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

const nightly = `{"@type":"schedule","name":"nightly","startTime":"2026-03-18T02:00:00.000Z","interval":"Daily","frequency":1}`

func TestScheduleExchanges(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, f *fixture, as with) {
		f.task("Task_Items", itemsID, "")
		// I-12
		shown := `{"@type":"schedule","id":"1","orgId":"1","name":"nightly","createTime":"2026-03-17T09:40:58.000Z","updateTime":"2026-03-17T09:40:58.000Z",
			"createdBy":"dan@example.com","updatedBy":"dan@example.com","startTime":"2026-03-18T02:00:00.000Z","startTimeUTC":"2026-03-18T06:00:00.000Z",
			"interval":"Daily","frequency":1,"sun":false,"mon":false,"tue":false,"wed":false,"thu":false,"fri":false,"sat":false,"weekDay":false,
			"timeZone":"America/New_York"}`
		f.do("POST", s+"/schedule", nightly, as).want(t, 200, shown)
		f.do("POST", s+"/schedule", strings.Replace(nightly, "nightly", "Nightly", 1), as).
			fault(t, 400, "WB_DUPLICATE_NAME", "A schedule named 'Nightly' already exists")
		f.do("POST", s+"/schedule", `{"@type":"schedule","name":"other","startTime":"2026-03-18T02:00:00.000Z","interval":"Cron"}`, as).
			fault(t, 400, "WB_BAD_FIELD", "interval 'Cron' is not known")
		f.do("GET", s+"/schedule/1", "", as).want(t, 200, shown)
		f.do("GET", s+"/schedule/name/NIGHTLY", "", as).want(t, 200, shown)
		f.do("GET", s+"/schedule", "", as).want(t, 200, "["+shown+"]")
		// I-13
		f.do("POST", s+"/mttask/"+itemsID, `{"@type":"mtTask","scheduleId":"1"}`, as).
			want(t, 200, `{"@type":"mtTask","id":"`+itemsID+`","orgId":"1","name":"Task_Items","scheduleId":"1"}`)
		native := f.native(t, "GET", "/api/jobconfigs/1/schedule")
		for name, want := range map[string]any{
			"name": "nightly", "type": "cron", "cronSchedule": "0 0 2 * * ? *", "nextFireTime": "2026-03-18T06:00:00Z", "resourceId": "1", "resourceType": "jobconfigs",
		} {
			if native[name] != want {
				t.Errorf("native %s is %v, want %v", name, native[name], want)
			}
		}
		if zone, _ := native["timeZone"].(map[string]any); zone["id"] != "America/New_York" {
			t.Errorf("native zone %v", native["timeZone"])
		}
		f.do("DELETE", s+"/schedule/1", "", as).fault(t, 403, "WB_IN_USE", "Schedule 'nightly' is used by task Task_Items")
		// What it is changed to, the task follows; detached, it can be deleted.
		f.do("POST", s+"/schedule/1", `{"startTime":"2026-03-18T03:30:00.000Z","weekDay":true}`, as).want(t, 200, "")
		if native := f.native(t, "GET", "/api/jobconfigs/1/schedule"); native["cronSchedule"] != "0 30 3 ? * MON-FRI *" {
			t.Errorf("after the change: %v", native)
		}
		f.do("POST", s+"/mttask/1", `<mtTask><scheduleId></scheduleId></mtTask>`, as, xmlIn).
			want(t, 200, `{"@type":"mtTask","id":"`+itemsID+`","orgId":"1","name":"Task_Items"}`)
		f.do("DELETE", s+"/schedule/1", "", as).want(t, 200, `{"@type":"success","statusCode":200,"description":"Schedule 1 deleted"}`)
		f.do("GET", s+"/schedule/1", "", as).fault(t, 404, "WB_NOT_FOUND", "Schedule 1 not found")
	})
}

// native asks the native door, as dan.
func (f *fixture) native(t *testing.T, method, path string) map[string]any {
	t.Helper()
	g, err := f.Sessions.Login(t.Context(), dan, password, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	r := f.do(method, path, "", header("Authorization", "Bearer "+g.Access), header("Prefer", "dates=rfc3339"))
	if r.Code != 200 {
		t.Fatalf("%s %s: %d %s", method, path, r.Code, r.text)
	}
	return r.object(t)
}

// The native API shows no calendar, so one who sends a schedule back as it was read must not take it away.
func TestAScheduleThatIsSentBackFiresAsBefore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for id, members := range []string{
		`"interval":"Daily","frequency":2,"startTime":"2026-03-16T02:00:00.000Z"`,
		`"interval":"Biweekly","mon":true,"timeZone":"UTC","startTime":"2026-03-18T02:00:00.000Z"`,
		`"interval":"Minutely","frequency":40,"startTime":"2026-03-18T02:05:00.000Z","thu":true`,
	} {
		number := strconv.Itoa(id + 1) // of the schedule and its task
		path := "/api/jobconfigs/" + number + "/schedule"
		f.task("n"+number, "", "")
		f.do("POST", s+"/schedule", `{"name":"n`+number+`",`+members+`}`).want(t, 200, "")
		f.do("POST", s+"/mttask/"+number, `{"scheduleId":"`+number+`"}`).want(t, 200, "")
		before, err := f.Schedules.NextTimes(t.Context(), f.actor(), number, 3)
		if err != nil {
			t.Fatal(err)
		}
		read := f.native(t, "GET", path)
		sent := map[string]any{}
		for _, name := range []string{"name", "type", "cronSchedule", "intervalFrequency", "description", "timeZone", "startDate", "endDate"} {
			if v, there := read[name]; there {
				sent[name] = v
			}
		}
		f.put(t, path, sent)
		after, err := f.Schedules.NextTimes(t.Context(), f.actor(), number, 3)
		if err != nil || !slices.Equal(before, after) {
			t.Errorf("%s: fires %v, before %v, %v", members, after, before, err)
		}
		if sent["type"] == "interval" {
			sent["intervalFrequency"] = "50m"
		} else {
			sent["timeZone"] = map[string]any{"id": "Asia/Tokyo"}
		}
		f.put(t, path, sent)
		if v, err := f.Schedules.Get(t.Context(), f.actor(), number); err != nil || v.Rule.Calendar != nil {
			t.Errorf("%s: another pattern has the old calendar, %v", members, err)
		}
	}
}

// put sends something to the native door, as dan.
func (f *fixture) put(t *testing.T, path string, body map[string]any) {
	t.Helper()
	g, err := f.Sessions.Login(t.Context(), dan, password, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if r := f.do("PUT", path, string(text), header("Authorization", "Bearer "+g.Access)); r.Code != 200 {
		t.Fatalf("PUT %s of %s: %d %s", path, text, r.Code, r.text)
	}
}

func TestSchedulesFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Task_Items", itemsID, "")
	for name, c := range map[string]struct {
		members string
		want    string // the first three fires, in New York
	}{
		"once":                  {`"interval":"None","startTime":"2026-03-18T02:00:00.000Z"`, "Wed 03-18 02:00"},
		"once, in the past":     {`"interval":"None","startTime":"2026-03-01T02:00:00.000Z"`, ""},
		"minutes":               {`"interval":"Minutely","frequency":20,"startTime":"2026-03-18T02:05:00.000Z"`, "Wed 03-18 02:05, Wed 03-18 02:25, Wed 03-18 02:45"},
		"minutes on some days":  {`"interval":"minutely","frequency":40,"startTime":"2026-03-18T02:05:00.000Z","thu":true,"rangeStartTime":"2026-03-18T08:00:00.000Z","rangeEndTime":"2026-03-18T09:00:00.000Z"`, "Thu 03-19 08:05, Thu 03-19 08:45, Thu 03-26 08:05"},
		"hours":                 {`"interval":"Hourly","frequency":36,"startTime":"2026-03-18T02:00:00.000Z"`, "Wed 03-18 02:00, Thu 03-19 14:00, Sat 03-21 02:00"},
		"days":                  {`"interval":"Daily","frequency":2,"startTime":"2026-03-16T02:00:00.000Z"`, "Wed 03-18 02:00, Fri 03-20 02:00, Sun 03-22 02:00"},
		"working days":          {`"interval":"Daily","weekDay":true,"startTime":"2026-03-19T02:00:00.000Z"`, "Thu 03-19 02:00, Fri 03-20 02:00, Mon 03-23 02:00"},
		"weeks":                 {`"interval":"Weekly","mon":true,"sat":true,"startTime":"2026-03-18T02:00:00.000Z"`, "Sat 03-21 02:00, Mon 03-23 02:00, Sat 03-28 02:00"},
		"second weeks":          {`"interval":"Biweekly","mon":true,"sat":true,"startTime":"2026-03-18T02:00:00.000Z"`, "Sat 03-21 02:00, Mon 03-30 02:00, Sat 04-04 02:00"},
		"a day of the month":    {`"interval":"Monthly","dayOfMonth":31,"startTime":"2026-03-18T02:00:00.000Z"`, "Tue 03-31 02:00, Thu 04-30 02:00, Sun 05-31 02:00"},
		"a week of the month":   {`"interval":"Monthly","weekOfMonth":"Third","dayOfWeek":"Friday","startTime":"2026-03-18T02:00:00.000Z"`, "Fri 03-20 02:00, Fri 04-17 02:00, Fri 05-15 02:00"},
		"the last one":          {`"interval":"Monthly","weekOfMonth":"last","dayOfWeek":"sun","startTime":"2026-03-18T02:00:00.000Z"`, "Sun 03-29 02:00, Sun 04-26 02:00, Sun 05-31 02:00"},
		"until its end":         {`"interval":"Daily","startTime":"2026-03-18T02:00:00.000Z","endTime":"2026-03-19T02:00:00.000Z"`, "Wed 03-18 02:00, Thu 03-19 02:00"},
		"by the clock of Tokyo": {`"interval":"Daily","startTime":"2026-03-18T02:00:00.000Z","timeZone":"Asia/Tokyo"`, "Tue 03-17 13:00, Wed 03-18 13:00, Thu 03-19 13:00"},
		"from a time in UTC":    {`"interval":"Daily","startTime":"2026-01-01T00:00:00.000Z","startTimeUTC":"2026-03-18T06:00:00.000Z"`, "Wed 03-18 02:00, Thu 03-19 02:00, Fri 03-20 02:00"},
		// Berlin's clock shows 2:30 twice on 25 October, an hour apart.
		"at first":             {`"interval":"None","timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T00:30:00.000Z"`, "Sat 10-24 20:30"},
		"once, later":          {`"interval":"None","timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T01:30:00.000Z"`, "Sat 10-24 21:30"},
		"minutes, from later":  {`"interval":"Minutely","frequency":45,"timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T01:30:00.000Z"`, "Sat 10-24 21:30, Sat 10-24 22:15, Sat 10-24 23:00"},
		"hours, from later":    {`"interval":"Hourly","frequency":2,"timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T01:30:00.000Z"`, "Sat 10-24 21:30, Sat 10-24 23:30, Sun 10-25 01:30"},
		"days, from later":     {`"interval":"Daily","timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T01:30:00.000Z"`, "Sat 10-24 21:30, Sun 10-25 21:30, Mon 10-26 21:30"},
		"every month, later":   {`"interval":"Monthly","dayOfMonth":25,"timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T01:30:00.000Z"`, "Sat 10-24 21:30, Tue 11-24 20:30, Thu 12-24 20:30"},
		"weekly, on the first": {`"interval":"Weekly","sun":true,"timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T00:30:00.000Z"`, "Sat 10-24 20:30, Sat 10-31 21:30, Sat 11-07 20:30"},
	} {
		id, _ := f.do("POST", s+"/schedule", `{"name":"`+name+`",`+c.members+`}`).want(t, 200, "").object(t)["id"].(string)
		f.do("POST", s+"/mttask/1", `{"scheduleId":"`+id+`"}`).want(t, 200, "")
		next, err := f.Schedules.NextTimes(t.Context(), f.actor(), "1", 3)
		if err != nil {
			t.Fatal(err)
		}
		zone, _ := time.LoadLocation("America/New_York")
		var got []string
		for _, at := range next {
			got = append(got, at.In(zone).Format("Mon 01-02 15:04"))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func TestTheSecondOfTwoEqualTimesIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	times := func(path, body string) [2]string {
		t.Helper()
		method := "POST"
		if body == "" {
			method = "GET"
		}
		o := f.do(method, s+path, body).want(t, 200, "").object(t)
		shown, _ := o["startTime"].(string)
		utc, _ := o["startTimeUTC"].(string)
		return [2]string{shown, utc}
	}
	first := [2]string{"2026-10-25T02:30:00.000Z", "2026-10-25T00:30:00.000Z"}
	second := [2]string{"2026-10-25T02:30:00.000Z", "2026-10-25T01:30:00.000Z"}
	for _, step := range []struct {
		name, path, body string
		want             [2]string
	}{
		{"made by UTC", "/schedule", `{"name":"x","interval":"Daily","timeZone":"Europe/Berlin","startTimeUTC":"2026-10-25T01:30:00.000Z"}`, second},
		{"read", "/schedule/1", "", second},
		{"changed elsewhere", "/schedule/1", `{"description":"new"}`, second},
		{"sent back", "/schedule/1", `{"startTime":"2026-10-25T02:30:00.000Z","startTimeUTC":"2026-10-25T01:30:00.000Z"}`, second},
		{"the wall's time alone sent back", "/schedule/1", `{"startTime":"2026-10-25T02:30:00.000Z"}`, second},
		{"another time on the wall", "/schedule/1", `{"startTime":"2026-10-25T02:45:00.000Z"}`, [2]string{"2026-10-25T02:45:00.000Z", "2026-10-25T00:45:00.000Z"}},
		{"the first by UTC", "/schedule/1", `{"startTimeUTC":"2026-10-25T00:30:00.000Z"}`, first},
		{"the second again", "/schedule/1", `{"startTimeUTC":"2026-10-25T01:30:00.000Z"}`, second},
		{"in a zone where it comes once", "/schedule/1", `{"timeZone":"Asia/Tokyo"}`, [2]string{"2026-10-25T02:30:00.000Z", "2026-10-24T17:30:00.000Z"}},
		{"and back", "/schedule/1", `{"timeZone":"Europe/Berlin"}`, first},
	} {
		if got := times(step.path, step.body); got != step.want {
			t.Errorf("%s: it starts at %q, want %q", step.name, got, step.want)
		}
	}
}

func TestSchedulesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at := `,"startTime":"2026-03-18T02:00:00.000Z"`
	for members, want := range map[string]string{
		`"interval":"Daily"` + at:                                             "name is required",
		`"name":"x","interval":"Daily"`:                                       "startTime is required",
		`"name":"x"` + at:                                                     "interval is required",
		`"name":"x","interval":"Weekly"` + at:                                 "interval 'Weekly' needs a day of the week",
		`"name":"x","interval":"Biweekly"` + at:                               "interval 'Biweekly' needs a day of the week",
		`"name":"x","interval":"Monthly"` + at:                                "interval 'Monthly' needs dayOfMonth, or weekOfMonth and dayOfWeek",
		`"name":"x","interval":"Monthly","dayOfMonth":32` + at:                "dayOfMonth is between 1 and 31",
		`"name":"x","interval":"Minutely","frequency":1441` + at:              "frequency is between 1 and 1440",
		`"name":"x","interval":"Daily","frequency":-1` + at:                   "frequency must be a whole number, 1 or more",
		`"name":"x","interval":"Daily","startTime":"tomorrow"`:                "startTime must be a time such as 2026-03-18T02:00:00.000Z",
		`"name":"x","interval":"Daily","endTime":"2026-03-01T02:00:00Z"` + at: "endTime is before startTime",
		`"name":"x","interval":"Daily","timeZone":"Mars/Olympus"` + at:        "'Mars/Olympus' is not a time zone; an example is America/Chicago",
	} {
		f.do("POST", s+"/schedule", "{"+members+"}").fault(t, 400, "WB_BAD_FIELD", want)
	}
	f.do("GET", s+"/schedule", "").want(t, 200, `[]`)
	for _, id := range []string{"9", "01", "x", "%20", "9999999999999999999999"} {
		f.do("GET", s+"/schedule/"+id, "").fault(t, 404, "WB_NOT_FOUND", "")
	}
}

func TestASchedulesOfTheConfigItselfStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.task("Task_Items", itemsID, "")
	f.do("POST", s+"/schedule", nightly).want(t, 200, "")
	if err := f.Schedules.SetCron(t.Context(), f.actor(), "1", "0 3 * * *"); err != nil {
		t.Fatal(err)
	}
	f.do("POST", s+"/mttask/1", `{"scheduleId":"1"}`).fault(t, 403, "WB_SCHEDULE_EXISTS", "Task Task_Items has a schedule of its own")
	f.do("POST", s+"/mttask/1", `{"scheduleId":""}`).want(t, 200, "") // it is on none
	if v, err := f.Schedules.Get(t.Context(), f.actor(), "1"); err != nil || v.Rule.Cron != "0 3 * * *" {
		t.Errorf("%+v, %v", v, err)
	}
	if err := f.Schedules.SetCron(t.Context(), f.actor(), "1", ""); err != nil {
		t.Fatal(err)
	}
	f.do("POST", s+"/mttask/1", `{"scheduleId":"1"}`).want(t, 200, "")
	// Who changes it natively makes it the config's own.
	if err := f.Schedules.SetCron(t.Context(), f.actor(), "1", "0 4 * * *"); err != nil {
		t.Fatal(err)
	}
	f.do("DELETE", s+"/schedule/1", "").want(t, 200, "")
	if v, err := f.Schedules.Get(t.Context(), f.actor(), "1"); err != nil || v.Rule.Cron != "0 4 * * *" || v.Rule.Calendar != nil {
		t.Errorf("%+v, %v", v, err)
	}
	f.do("POST", s+"/mttask/000000000000000000000000", `{"scheduleId":"1"}`).fault(t, 404, "WB_NOT_FOUND", "Task 000000000000000000000000 not found")
	f.do("POST", s+"/mttask/1", `{}`).fault(t, 400, "WB_BAD_FIELD", "scheduleId is required")
}

func TestSchedulesOfOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", s+"/schedule", nightly).want(t, 200, "")
	f.User(t, "gina", password)
	f.Account(t, "other", "olga", password)
	for who, status := range map[string]int{"gina": 403, "olga": 404, "admin": 200} {
		f.session = f.login(who)
		if r := f.do("GET", s+"/schedule/1", ""); r.Code != status {
			t.Errorf("%s: %d %s", who, r.Code, r.text)
		}
		if r := f.do("POST", s+"/schedule/1", `{"frequency":2}`); r.Code != status {
			t.Errorf("%s: %d %s", who, r.Code, r.text)
		}
		if who != "admin" {
			f.do("GET", s+"/schedule", "").want(t, 200, `[]`)
			f.do("GET", s+"/schedule/name/nightly", "").fault(t, 404, "WB_NOT_FOUND", "")
			if r := f.do("DELETE", s+"/schedule/1", ""); r.Code != status {
				t.Errorf("%s: %d %s", who, r.Code, r.text)
			}
		}
	}
}

// Whoever may change a task and not start it does not get it started by a schedule of theirs.
func TestASchedulePutsNobodyAboveTheirRights(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	f.task("Task_Items", itemsID, "") // dan's
	gina := f.User(t, "gina", password)
	f.session = f.login("gina")
	f.do("POST", s+"/schedule", nightly).want(t, 200, "")
	admin := job.Actor{AccountID: 1, User: job.UserRef{ID: 1, Name: "admin"}, Admin: true}
	given := func(verbs ...string) (take func()) {
		t.Helper()
		p, err := f.Policies.Create(ctx, admin, control.PolicyInput{Name: "p", Permissions: []control.PermissionInput{
			{Type: "jobconfigs", Allowed: verbs, IDs: []string{"1"}},
		}})
		if err == nil {
			_, err = f.Policies.Give(ctx, admin, strconv.FormatInt(gina.ID, 10), []string{strconv.FormatInt(p.ID, 10)}, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := f.Policies.Delete(ctx, admin, strconv.FormatInt(p.ID, 10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	take := given("view", "edit")
	if r := f.do("POST", s+"/mttask/1", `{"scheduleId":"1"}`); r.Code != 403 {
		t.Errorf("put by an editor: %d %s", r.Code, r.text)
	}
	take()
	take = given("edit", "execute")
	f.do("POST", s+"/mttask/1", `{"scheduleId":"1"}`).want(t, 200, "")
	f.do("POST", s+"/schedule/1", `{"frequency":2}`).want(t, 200, "")
	take()
	for _, left := range []string{"edit", "execute", "view"} {
		take = given(left)
		if r := f.do("POST", s+"/schedule/1", `{"frequency":1}`); r.Code != 403 {
			t.Errorf("changed with %s alone: %d %s", left, r.Code, r.text)
		}
		take()
	}
	defer given("edit")()
	f.do("POST", s+"/mttask/1", `{"scheduleId":""}`).want(t, 200, "") // to take it off starts nothing
	f.do("POST", s+"/schedule/1", `{"frequency":1}`).want(t, 200, "")
}

func TestARunOfAScheduleNamesIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	items := f.task("Task_Items", itemsID, "MTT")
	f.do("POST", s+"/schedule", nightly).want(t, 200, "")
	f.do("POST", s+"/mttask/1", `{"scheduleId":"1"}`).want(t, 200, "")
	if _, err := f.Jobs.SubmitHeld(t.Context(), f.actor(), items, "nightly", f.Now()); err != nil {
		t.Fatal(err)
	}
	r := f.do("GET", s+"/activity/activityMonitor", "")
	for _, part := range []string{`"scheduleName":"nightly"`, `"runContextType":"SCHEDULER"`, `"startedBy":"dan@example.com"`} {
		if !strings.Contains(r.text, part) {
			t.Errorf("%s is missing in %s", part, r.text)
		}
	}
}
