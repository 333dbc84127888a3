package storagetest

import (
	"fmt"
	"strings"
	"testing"

	"waybill/internal/job"
)

// documents lists configs with their newest jobs, each as its name and the number of that job.
func (n *tenant) documents(t *testing.T, q job.Query) string {
	t.Helper()
	if q.Scope.AccountID == 0 {
		q.Scope = n.scope()
	}
	if q.Size == 0 {
		q.Size = 100
	}
	list, err := n.Documents(t.Context(), q)
	if err != nil {
		t.Fatalf("Documents(%+v): %v", q.Where, err)
	}
	var out []string
	for _, d := range list.Items {
		out = append(out, fmt.Sprintf("%s %d", d.Config.Name, d.Run.RunNumber))
	}
	return strings.Join(out, ", ")
}

// library is an account with documents that ran in every way: "done" twice, "down" once with two steps, "goes" is at work, "sample config"
// never ran. It returns the newest jobs by the names of their configs.
func (n *tenant) library(t *testing.T) map[string]job.Job {
	t.Helper()
	runs := map[string]job.Job{}
	of := func(name string, also ...func(*job.Job)) func(*job.Job) {
		c := n.newConfig(name)
		c.Description, c.Tags = "Über "+name, []string{name + "-tag", "all"}
		c.Runtime.PackageName = name + ".PY"
		c, err := n.CreateConfig(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return func(j *job.Job) {
			j.ConfigID, j.ConfigName = c.ID, c.Name
			for _, change := range also {
				change(j)
			}
		}
	}
	done := of("done")
	n.ended(t, failed(), done)
	runs["done"] = n.ended(t, completed(), done)
	down := n.begun(t, of("down", func(j *job.Job) {
		j.Trigger, j.SubmittedBy = job.TriggerSchedule, job.UserRef{ID: 900, Name: "Öz"}
	}))
	if err := n.Started(t.Context(), n.account.ID, down.ID, 1, "", at(104)); err != nil {
		t.Fatal(err)
	}
	n.report(t, down.ID, 1, job.Report{At: at(105), Steps: []job.Step{
		{Name: "main", Status: job.Running, StartedAt: at(104), RecordsWritten: 7},
		{Index: 1, Name: "load", Status: job.Running, StartedAt: at(105)},
	}})
	down, err := n.Finish(t.Context(), n.account.ID, down.ID, 1, failed())
	if err != nil {
		t.Fatal(err)
	}
	runs["down"], runs["goes"] = down, n.begun(t, of("goes"))
	if _, err := n.CreateSchedule(t.Context(), n.newSchedule(runs["down"].ConfigID)); err != nil {
		t.Fatal(err)
	}
	return runs
}

var documentCases = map[string]func(*testing.T, *tenant){
	"a document is a config with its newest job, or with none": func(t *testing.T, n *tenant) {
		runs := n.library(t)
		list, err := n.Documents(t.Context(), job.Query{Scope: n.scope(), Size: 100})
		if err != nil || list.Total != 4 || list.More {
			t.Fatalf("%d of %d, more %v, %v", len(list.Items), list.Total, list.More, err)
		}
		for _, d := range list.Items {
			c, err := n.Config(t.Context(), n.account.ID, d.Config.ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "config of "+d.Config.Name, d.Config, c)
			run := runs[d.Config.Name]
			if d.Run.ID != run.ID || d.Run.Status != run.Status || d.Run.Message != run.Message || !d.Run.FinishedAt.Equal(run.FinishedAt) {
				t.Errorf("%s comes with %+v", d.Config.Name, d.Run)
			}
			if want := map[string]int{"done": 1, "down": 2, "goes": 0}[d.Config.Name]; d.Steps != want {
				t.Errorf("%s has %d steps, want %d", d.Config.Name, d.Steps, want)
			}
		}
	},
	"documents are found by what they and their newest jobs are": func(t *testing.T, n *tenant) {
		n.library(t)
		const all = "done 2, down 1, goes 1, sample config 0"
		for _, c := range []struct {
			where job.Expr
			want  string
		}{
			{nil, all},
			{compare("name", job.Like, "DO"), "done 2, down 1"},
			{compare("description", job.Like, "üBER d"), "done 2, down 1"},
			{compare("runtimeConfig.packageName", job.Like, "goes.py"), "goes 1"},
			{compare("objectId", job.Eq, n.config.ObjectID), "sample config 0"},
			{compare("tags", job.Eq, "all"), "done 2, down 1, goes 1"},
			{compare("tags", job.Eq, "done-tag"), "done 2"},
			{compare("createdByUser.id", job.Eq, n.admin.ID), all},
			{compare("createdByUser.id", job.Eq, n.admin.ID+1), ""},
			{compare("scheduled", job.Eq, true), "down 1"},
			{compare("scheduled", job.Eq, false), "done 2, goes 1, sample config 0"},
			{compare("run.status", job.Eq, job.Completed), "done 2"},
			{compare("run.status", job.In, job.Failed, job.Running), "down 1, goes 1"},
			{compare("run.status", job.Null), "sample config 0"},
			{compare("run.steps", job.Eq, true), "down 1"},
			{compare("run.steps", job.Eq, false), "done 2, goes 1, sample config 0"},
			{compare("run.by", job.Eq, "schedule"), "down 1"},
			{compare("run.user", job.Eq, "Öz"), "down 1"},
			{compare("run.written", job.Eq, 7), "down 1"},
			{compare("run.message", job.Like, "exit"), "down 1"},
			{compare("run.started", job.Null), "goes 1, sample config 0"},
			{compare("run.started", job.Gte, at(104)), "down 1"},
			{compare("run.finished", job.NotNull), "done 2, down 1"},
			{compare("run.seconds", job.Eq, 9), "done 2"},
			{job.And{compare("tags", job.Eq, "all"), job.Or{compare("run.status", job.Eq, job.Failed), compare("name", job.Eq, "goes")}}, "down 1, goes 1"},
		} {
			if got := n.documents(t, job.Query{Where: c.where}); got != c.want {
				t.Errorf("%+v: %s, want %s", c.where, got, c.want)
			}
		}
	},
	"documents list in the order that is asked for, a page at a time": func(t *testing.T, n *tenant) {
		n.library(t)
		for _, c := range []struct {
			property string
			desc     bool
			want     string
		}{
			{"", false, "done 2, down 1, goes 1, sample config 0"},
			{"name", true, "sample config 0, goes 1, down 1, done 2"},
			{"run.written", true, "down 1, "}, // the others are equal
			{"run.user", true, "down 1, "},
			{"run.finished", true, ""},
			{"run.started", false, ""},
			{"run.seconds", true, "done 2, down 1, "},
			{"run.status", true, "goes 1, down 1, done 2, sample config 0"},
			{"run.word", true, "goes 1, sample config 0, down 1, done 2"}, // Running, Pending, Failed, Completed
			{"run.by", true, ""},
		} {
			q := job.Query{}
			if c.property != "" {
				q.Sort = []job.Sort{{Property: c.property, Desc: c.desc}}
			}
			whole := n.documents(t, q)
			if !strings.HasPrefix(whole, c.want) || strings.Count(whole, ",") != 3 {
				t.Errorf("by %s: %s, want %s", c.property, whole, c.want)
			}
			var pages []string
			for q.Size, q.Offset = 3, 0; q.Offset < 4; q.Offset += 3 {
				pages = append(pages, n.documents(t, q))
			}
			if got := strings.Join(pages, ", "); got != whole {
				t.Errorf("by %s in pages: %s, want %s", c.property, got, whole)
			}
		}
	},
	"documents are those of the account, and in it those in sight": func(t *testing.T, n *tenant) {
		n.library(t)
		other := n.other(t)
		if got := other.documents(t, job.Query{}); got != "sample config 0" {
			t.Errorf("another account sees %s", got)
		}
		own := n.newConfig("own")
		own.Owner = job.UserRef{ID: 900, Name: "Öz"}
		if _, err := n.CreateConfig(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		if got := n.documents(t, job.Query{Scope: job.Scope{AccountID: n.account.ID, OwnerID: 900}}); got != "own 0" {
			t.Errorf("a general user sees %s", got)
		}
	},
	"what is behind jobs is told of the account's alone": func(t *testing.T, n *tenant) {
		runs := n.library(t)
		jobs := []job.Job{runs["down"], runs["goes"]}
		behind, err := n.BehindJobs(t.Context(), n.account.ID, jobs)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			c, err := n.Config(t.Context(), n.account.ID, j.ConfigID)
			if err != nil || behind.ObjectIDs[j.ConfigID] != c.ObjectID {
				t.Errorf("%s: object id %q, %v", j.ConfigName, behind.ObjectIDs[j.ConfigID], err)
			}
		}
		if behind.Steps[jobs[0].ID] != 2 || behind.Steps[jobs[1].ID] != 0 {
			t.Errorf("steps %v", behind.Steps)
		}
		if err := n.DeleteConfigs(t.Context(), n.scope(), []int64{runs["done"].ConfigID}); err != nil {
			t.Fatal(err)
		}
		gone, err := n.BehindJobs(t.Context(), n.account.ID, []job.Job{runs["done"]})
		if err != nil || len(gone.ObjectIDs) != 0 || gone.Steps[runs["done"].ID] != 1 {
			t.Errorf("of a config that is gone: %+v, %v", gone, err)
		}
		other := n.other(t)
		behind, err = n.BehindJobs(t.Context(), other.account.ID, jobs)
		if err != nil || len(behind.ObjectIDs) != 0 {
			t.Errorf("another account is told of %v, %v", behind.ObjectIDs, err)
		}
		if behind, err = n.BehindJobs(t.Context(), n.account.ID, nil); err != nil || len(behind.ObjectIDs)+len(behind.Steps) != 0 {
			t.Errorf("behind nothing: %v, %v", behind, err)
		}
	},
}
