package informatica_test

import (
	"strconv"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

// With execute alone a job can be started and, being one's own, followed (docs/access.md), by the ways that clients follow it.
func TestWhoMayOnlyStartATaskFindsTheirOwnRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	c := f.task("Task_Items", itemsID, "") // dan's
	f.do("POST", s+"/job", `{"taskId":"1","taskType":"MTT"}`).want(t, 200, "")
	f.Finish(t, 1, f.run(c, 1).ID, f.Take(t, 1, f.run(c, 1).ID), controltest.Exit(0))
	gina := f.User(t, "gina", password)
	admin := job.Actor{AccountID: 1, User: job.UserRef{ID: 1, Name: "admin"}, Admin: true}
	p, err := f.Policies.Create(ctx, admin, control.PolicyInput{Name: "p", Permissions: []control.PermissionInput{
		{Type: "jobconfigs", Allowed: []string{"execute"}, IDs: []string{"1"}},
	}})
	if err == nil {
		_, err = f.Policies.Give(ctx, admin, strconv.FormatInt(gina.ID, 10), []string{strconv.FormatInt(p.ID, 10)}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.session = f.login("gina")
	f.do("POST", s+"/job", `{"taskId":"`+itemsID+`","taskType":"MTT"}`).want(t, 200, "")
	mine := f.run(c, 2).ID
	shows := func(path string, found bool) {
		t.Helper()
		r := f.do("GET", s+path, "")
		if r.Code != 200 || strings.Contains(r.text, string(mine)) != found {
			t.Errorf("%s: %d %s, want the run: %v", path, r.Code, r.text, found)
		}
		if strings.Contains(r.text, `"runId":1,`) {
			t.Errorf("%s shows a run of somebody else: %s", path, r.text)
		}
	}
	for _, task := range []string{itemsID, "1"} {
		shows("/activity/activityMonitor?taskId="+task, true)
		shows("/activity/activityMonitor?taskId="+task+"&runId=2", true)
		shows("/activity/activityLog?taskId="+task+"&runId=2", false)
	}
	f.Finish(t, 1, mine, f.Take(t, 1, mine), controltest.Exit(0))
	for _, task := range []string{itemsID, "1"} {
		shows("/activity/activityMonitor?taskId="+task, false)
		shows("/activity/activityLog?taskId="+task+"&runId=2", true)
		shows("/activity/activityLog?taskId="+task, true)
		shows("/activity/activityLog?taskId="+task+"&runId=1", false)
	}
	shows("/activity/activityLog/"+string(mine), true)
	for _, unknown := range []string{"77", "x", "000000000000000000000000"} {
		f.do("GET", s+"/activity/activityLog?taskId="+unknown, "").want(t, 200, `[]`)
	}
}
