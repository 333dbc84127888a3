package sqlstore

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore/seed"
)

// scansOther is what reads all jobs under another name, or all of what belongs to jobs.
var scansOther = regexp.MustCompile(`Seq Scan on job_steps\b|(?m)^SCAN (?:r|j|s|job_steps)\b`)

func equals(property string, value any) job.Expr {
	return job.Compare{Property: property, Op: job.Eq, Values: []any{value}}
}

func holds(property, part string) job.Expr {
	return job.Compare{Property: property, Op: job.Like, Values: []any{part}}
}

// doorLists are the lists of jobs that the doors for other products' clients ask for, and those of the native one by start.
func doorLists(account int64, jobs int) map[string]job.Query {
	config := seed.Config(account, 5)
	ended := func(where ...job.Expr) job.Expr { // control.Runs.Finished
		return append(job.And(where), job.Compare{Property: "status", Op: job.In, Values: []any{job.Completed, job.Failed, job.Cancelled}})
	}
	status := func(some ...any) job.Expr { return job.Or{job.Compare{Property: "status", Op: job.In, Values: some}} }
	began, newest := []job.Sort{{Property: "started", Desc: true}}, []job.Sort{{Property: "scheduled", Desc: true}}
	one := seed.Time(jobs/2) + 200_000
	return map[string]job.Query{
		"joblog":                       {Where: ended(), Sort: began},
		"joblog, later":                {Where: ended(), Sort: began, Offset: 500},
		"joblog of a status":           {Where: ended(status(job.Failed)), Sort: began},
		"joblog of two":                {Where: ended(status(job.Completed, job.Cancelled)), Sort: began},
		"joblog of what runs":          {Where: ended(status(job.Running, job.Cancelling)), Sort: began},
		"joblog of a config":           {Where: ended(holds("jobConfig.objectId", fmt.Sprintf("%024x", config))), Sort: began},
		"joblog of a config's failed":  {Where: ended(status(job.Failed), holds("jobConfig.objectId", fmt.Sprintf("%024x", config))), Sort: began},
		"joblog by name":               {Where: ended(holds("jobConfig.name", "FIG 7")), Sort: began},
		"joblog by description":        {Where: ended(holds("jobConfig.description", "none says so")), Sort: began},
		"joblog by package":            {Where: ended(holds("packageName", "PACKAGE7.dj")), Sort: began},
		"joblog of pipelines":          {Where: ended(equals("moreSteps", true)), Sort: began},
		"joblog of no pipelines":       {Where: ended(equals("moreSteps", false)), Sort: began},
		"joblog of mine":               {Where: ended(equals("submittedByUser.id", seed.Owner(account, 3))), Sort: began},
		"jobdetail":                    {Where: job.And{equals("jobConfig.id", config)}, Sort: newest, Size: 10, Keyset: true},
		"apijob, active":               {Where: job.And{equals("jobConfig.id", config), control.Unfinished}, Sort: newest, Size: 1, Keyset: true},
		"activityMonitor":              {Where: job.And{control.Unfinished}, Sort: newest, Size: 500, Keyset: true},
		"activityMonitor of a run":     {Where: job.And{control.Unfinished, equals("jobConfig.id", config), equals("runNumber", int64(jobs))}, Sort: newest, Size: 500, Keyset: true},
		"started":                      {Sort: began, Stats: true},
		"first started":                {Sort: []job.Sort{{Property: "started"}}, Stats: true},
		"started, keyset":              {Sort: began, Keyset: true, After: []string{fmt.Sprint(one), seed.ID(jobs / 2)}},
		"first started, keyset":        {Sort: []job.Sort{{Property: "started"}}, Keyset: true, After: []string{fmt.Sprint(one), seed.ID(jobs / 2)}},
		"started, of a config":         {Sort: began, Where: equals("jobConfig.id", config), Stats: true},
		"started, of a config, keyset": {Sort: began, Where: equals("jobConfig.id", config), Keyset: true, After: []string{fmt.Sprint(one), seed.ID(jobs / 2)}},
		"started, failed":              {Sort: began, Where: equals("status", job.Failed), Stats: true},
		"finished":                     {Sort: []job.Sort{{Property: "finished", Desc: true}}},
	}
}

// What the doors for other products' clients ask of jobs reads no more than it shows, either.
func TestDoorsReadNoMoreThanTheyShow(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		jobs := plannedJobs(t, s)
		account := seeded(t, s, jobs)
		config, lists := seed.Config(account, 5), doorLists(account, jobs)
		few := map[string]bool{"joblog of what runs": true, "apijob, active": true, "activityMonitor": true, "activityMonitor of a run": true}
		scopes := map[string]job.Scope{
			"admin": {AccountID: account}, "owner": {AccountID: account, OwnerID: seed.Owner(account, 3)}, // with jobs of configs out of their sight
			"key for two configs": {AccountID: account, Only: []int64{config, config + 1}},
		}
		// What no counter knows is counted, up to a limit.
		uncounted := map[string]bool{"joblog of pipelines": true, "joblog of no pipelines": true}
		plans := 0
		look := func(name, who, index string, maySort bool, sent []*gorm.Statement) {
			t.Helper()
			if len(sent) == 0 {
				t.Errorf("%s, %s, sends nothing", name, who)
			}
			for _, st := range sent {
				if uncounted[name] && strings.Contains(st.SQL.String(), "AS counted") {
					continue
				}
				plans++
				plan := strings.ReplaceAll(s.plan(t, st), "SCAN jobs USING INDEX jobs_unfinished", "") // which is small
				if scansJobs.MatchString(plan) || walksIndex.MatchString(plan) || scansOther.MatchString(plan) {
					t.Errorf("%s, %s, reads all jobs:\n%s\n%s", name, who, st.SQL.String(), plan)
				}
				if strings.Contains(st.SQL.String(), "ORDER BY finished_at") && !strings.Contains(plan, index) {
					t.Errorf("%s, %s, does not use %s:\n%s\n%s", name, who, index, st.SQL.String(), plan)
				}
				if !maySort && s.sortsMore(st, plan) {
					t.Errorf("%s, %s, sorts more than a page:\n%s\n%s", name, who, st.SQL.String(), plan)
				}
			}
		}
		for who, scope := range scopes {
			// An owner's are some hundred here, and less of a status: SQLite sorts them, and does not tell how many.
			for name, q := range lists {
				if q.Scope = scope; q.Size == 0 {
					q.Size = 25
				}
				look(name, who, "", few[name] || s.driver == SQLite && scope.OwnerID != 0, spied(t, s, func() {
					if _, _, err := s.Jobs(t.Context(), q); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}))
			}
			whole := "jobs_finished"
			if len(scope.Only) > 0 {
				whole = "jobs_config_finished"
			}
			for name, c := range map[string]struct {
				config, run int64
				index       string
			}{
				"activityLog": {index: whole}, "activityLog of a config": {config, 0, "jobs_config_"}, "activityLog of a run": {config, int64(jobs / 2), "jobs_config_run"},
			} {
				look(name, who, c.index, c.run != 0, spied(t, s, func() {
					if _, err := s.Ended(t.Context(), scope, c.config, c.run, 0, 25); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}))
			}
			// Of each job config the newest job is looked up: there are fewer of those.
			for name, q := range map[string]job.Query{
				"jobs": {}, "jobs of a status": {Where: job.And{job.Compare{Property: "run.status", Op: job.In, Values: []any{job.Failed}}}},
				"jobs that never ran": {Where: job.And{job.Or{job.Compare{Property: "run.status", Op: job.Null}}}},
				"jobs by start":       {Sort: []job.Sort{{Property: "run.started", Desc: true}}}, "jobs with steps": {Where: job.And{equals("run.steps", true)}},
				"jobs with a schedule": {Where: job.And{equals("scheduled", true)}}, "jobs by name": {Where: job.And{holds("name", "FIG 7")}},
				"jobs with a tag": {Where: job.And{equals("tags", "x")}}, "jobs of an object id": {Where: job.And{holds("objectId", "7")}},
			} {
				if q.Scope, q.Size = scope, 25; q.Sort == nil {
					q.Sort = []job.Sort{{Property: "name"}}
				}
				look(name, who, "", true, spied(t, s, func() {
					if _, err := s.Documents(t.Context(), q); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}))
			}
		}
		// An owner whose jobs are too many to be sorted is shown the same ones. (Of a million the plain way takes longer than a statement may.)
		if jobs <= 20_000 {
			every, _, err := s.Jobs(t.Context(), job.Query{Scope: scopes["owner"], Where: doorLists(account, jobs)["joblog"].Where, Size: jobs})
			if err != nil || len(every.Items) <= fewInSight {
				t.Fatalf("%d jobs, %v", len(every.Items), err)
			}
			slices.SortFunc(every.Items, func(a, b job.Job) int {
				return -cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.ID, b.ID))
			})
			for page := range 3 {
				q := doorLists(account, jobs)["joblog"]
				q.Scope, q.Size, q.Offset = scopes["owner"], 25, 25*page
				list, _, err := s.Jobs(t.Context(), q)
				if err != nil || !slices.EqualFunc(list.Items, every.Items[q.Offset:q.Offset+25], func(a, b job.Job) bool { return a.ID == b.ID }) {
					t.Errorf("page %d of an owner's joblog is another one: %v", page, err)
				}
			}
		}
		some := []job.Job{{ID: job.ID(seed.ID(503)), ConfigID: config}, {ID: job.ID(seed.ID(505)), ConfigID: config}}
		for name, read := range map[string]func() error{
			"behind jobs": func() error { _, err := s.BehindJobs(t.Context(), account, some); return err },
			"steps":       func() error { _, err := s.Steps(t.Context(), account, some[0].ID); return err },
			"steps of several": func() error {
				_, err := s.StepsOf(t.Context(), account, []job.ID{some[0].ID, some[1].ID})
				return err
			},
			"errors, as the error log reads them": func() error {
				_, err := s.Errors(t.Context(), account, some[0].ID, job.Query{Size: 500, Keyset: true, Sort: []job.Sort{{Property: "occurred"}}})
				return err
			},
		} {
			look(name, "admin", "", true, spied(t, s, func() {
				if err := read(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}))
		}
		t.Logf("%d plans looked at, for %d jobs", plans, jobs)
	})
}
