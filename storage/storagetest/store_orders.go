package storagetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

// history fills the account with jobs of three configs and two owners, the second of whom has the second config, too. They begin and end in other
// orders than they were submitted in, some never began, some have not ended. All are returned as they are.
func (n *tenant) history(t *testing.T) (all []job.Job, owner int64, configs []job.Config) {
	t.Helper()
	owner = n.admin.ID + 1_000_000
	second := n.newConfig("the second")
	second.Owner, second.Description = job.UserRef{ID: owner, Name: "owner"}, "says Something"
	second, err := n.CreateConfig(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	configs = []job.Config{n.config, second, n.create(t, "the third")}
	for i := range 36 {
		j := n.submit(t, func(j *job.Job) {
			c := configs[i%3]
			if j.ConfigID, j.ConfigName = c.ID, c.Name; i%4 == 0 {
				j.OwnerID = owner
			}
		})
		began := at(1000 + i*17%36/2) // pairs at the same time
		switch {
		case i%9 == 8: // it never began
			if _, err := n.Cancel(t.Context(), n.account.ID, j.ID, n.admin.Ref(), at(3000+i), 0); err != nil {
				t.Fatal(err)
			}
		case i%12 == 5: // it waits
		default:
			if _, _, err := n.Begin(t.Context(), n.account.ID, j.ID, 1, "worker-1", began); err != nil {
				t.Fatal(err)
			}
			if err := n.Started(t.Context(), n.account.ID, j.ID, 1, "", began); err != nil {
				t.Fatal(err)
			}
			if i%12 == 7 {
				break // it runs
			}
			o := []job.Outcome{completed(), failed()}[i%2]
			o.At = at(2000 + i*29%36)
			if _, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, o); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, n.now(t, j.ID))
	}
	return all, owner, configs
}

// micros orders a time that may be absent, which comes first.
func micros(at time.Time) int64 {
	if at.IsZero() {
		return -1 << 62
	}
	return at.UnixMicro()
}

var orderCases = map[string]func(*testing.T, *tenant){
	"jobs list by when they began and ended, whoever asks and however the pages are told": func(t *testing.T, n *tenant) {
		all, owner, configs := n.history(t)
		final := compare("status", job.In, job.Completed, job.Failed, job.Cancelled)
		filters := map[string]struct {
			where job.Expr
			holds func(job.Job) bool
		}{
			"all":         {nil, func(job.Job) bool { return true }},
			"ended":       {final, func(j job.Job) bool { return j.Status.Final() }},
			"failed":      {job.And{compare("status", job.Eq, job.Failed), final}, func(j job.Job) bool { return j.Status == job.Failed }},
			"unfinished":  {compare("status", job.In, job.Queued, job.Running), func(j job.Job) bool { return !j.Status.Final() }},
			"of a config": {compare("jobConfig.id", job.Eq, configs[2].ID), func(j job.Job) bool { return j.ConfigID == configs[2].ID }},
			"of an object id": {job.And{compare("jobConfig.objectId", job.Like, strings.ToUpper(configs[0].ObjectID)), final}, func(j job.Job) bool {
				return j.ConfigID == configs[0].ID && j.Status.Final()
			}},
			"of a description":  {compare("jobConfig.description", job.Like, "sOMEthing"), func(j job.Job) bool { return j.ConfigID == configs[1].ID }},
			"of no description": {compare("jobConfig.description", job.NotLike, "something"), func(j job.Job) bool { return j.ConfigID != configs[1].ID }},
			"of none":           {compare("jobConfig.description", job.Like, "else"), func(job.Job) bool { return false }},
			"with one step":     {job.And{compare("moreSteps", job.Eq, false), final}, func(j job.Job) bool { return j.Status.Final() }},
			"with more steps":   {job.And{compare("moreSteps", job.Eq, true), final}, func(job.Job) bool { return false }},
		}
		mine := func(j job.Job) bool { return j.OwnerID == owner || j.ConfigID == configs[1].ID }
		scopes := map[string]struct {
			scope job.Scope
			sees  func(job.Job) bool
		}{
			"admin":             {n.scope(), func(job.Job) bool { return true }},
			"owner":             {job.Scope{AccountID: n.account.ID, OwnerID: owner}, mine},
			"who was given one": {job.Scope{AccountID: n.account.ID, OwnerID: owner + 1, Configs: []int64{configs[2].ID}}, func(j job.Job) bool { return j.ConfigID == configs[2].ID }},
			"key":               {job.Scope{AccountID: n.account.ID, Only: []int64{configs[0].ID}}, func(j job.Job) bool { return j.ConfigID == configs[0].ID }},
			"owner's key": {job.Scope{AccountID: n.account.ID, OwnerID: owner, Only: []int64{configs[0].ID}}, func(j job.Job) bool {
				return j.ConfigID == configs[0].ID && j.OwnerID == owner
			}},
			"another account": {n.other(t).scope(), func(job.Job) bool { return false }},
		}
		by := map[string]func(job.Job) int64{
			"started": func(j job.Job) int64 { return micros(j.StartedAt) }, "finished": func(j job.Job) int64 { return micros(j.FinishedAt) },
		}
		for property, when := range by {
			for _, desc := range []bool{true, false} {
				for what, filter := range filters {
					for who, s := range scopes {
						var want []job.ID
						for _, j := range slices.SortedFunc(slices.Values(all), func(a, b job.Job) int {
							order := cmp.Or(cmp.Compare(when(a), when(b)), cmp.Compare(a.ID, b.ID))
							if desc {
								return -order
							}
							return order
						}) {
							if s.sees(j) && filter.holds(j) {
								want = append(want, j.ID)
							}
						}
						for _, keyset := range []bool{false, true} {
							q := job.Query{Scope: s.scope, Where: filter.where, Sort: []job.Sort{{Property: property, Desc: desc}}, Size: 7, Keyset: keyset}
							same(t, fmt.Sprintf("%s by %s, descending %v, for %s, keyset %v", what, property, desc, who, keyset), n.paged(t, q), want)
						}
					}
				}
			}
		}
	},
	"what has ended is told to whoever may see it": func(t *testing.T, n *tenant) {
		all, owner, configs := n.history(t)
		slices.SortFunc(all, func(a, b job.Job) int {
			return -cmp.Or(cmp.Compare(micros(a.FinishedAt), micros(b.FinishedAt)), cmp.Compare(a.ID, b.ID))
		})
		for who, s := range map[string]struct {
			scope       job.Scope
			config, run int64
			sees        func(job.Job) bool
		}{
			"owner": {job.Scope{AccountID: n.account.ID, OwnerID: owner}, 0, 0, func(j job.Job) bool { return j.OwnerID == owner || j.ConfigID == configs[1].ID }},
			"owner, of a config": {job.Scope{AccountID: n.account.ID, OwnerID: owner}, configs[0].ID, 0, func(j job.Job) bool {
				return j.OwnerID == owner && j.ConfigID == configs[0].ID
			}},
			"owner, of their own config": {job.Scope{AccountID: n.account.ID, OwnerID: owner}, configs[1].ID, 0, func(j job.Job) bool { return j.ConfigID == configs[1].ID }},
			"owner, of a run":            {job.Scope{AccountID: n.account.ID, OwnerID: owner}, configs[0].ID, 1, func(j job.Job) bool { return j.ConfigID == configs[0].ID && j.RunNumber == 1 }},
			"owner, of somebody's run":   {job.Scope{AccountID: n.account.ID, OwnerID: owner}, configs[0].ID, 2, func(job.Job) bool { return false }},
			"key":                        {job.Scope{AccountID: n.account.ID, Only: []int64{configs[0].ID}}, 0, 0, func(j job.Job) bool { return j.ConfigID == configs[0].ID }},
			"key, of another config":     {job.Scope{AccountID: n.account.ID, Only: []int64{configs[0].ID}}, configs[1].ID, 0, func(job.Job) bool { return false }},
			"owner's key": {job.Scope{AccountID: n.account.ID, OwnerID: owner, Only: []int64{configs[0].ID}}, 0, 0, func(j job.Job) bool {
				return j.ConfigID == configs[0].ID && j.OwnerID == owner
			}},
			"another account": {n.other(t).scope(), configs[0].ID, 0, func(job.Job) bool { return false }},
		} {
			var want, got []job.ID
			for _, j := range all {
				if s.sees(j) && j.Status.Final() {
					want = append(want, j.ID)
				}
			}
			for {
				list, err := n.Ended(t.Context(), s.scope, s.config, s.run, len(got), 5)
				if err != nil {
					t.Fatalf("%s: %v", who, err)
				}
				for _, j := range list {
					got = append(got, j.ID)
				}
				if len(list) < 5 {
					break
				}
			}
			same(t, who, got, want)
		}
	},
}

// paged reads a list to its end, page by page.
func (n *tenant) paged(t *testing.T, q job.Query) (ids []job.ID) {
	t.Helper()
	for {
		list, _, err := n.Jobs(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range list.Items {
			ids = append(ids, j.ID)
		}
		if !list.More || len(list.Items) == 0 {
			return ids
		}
		if q.After = list.Next; !q.Keyset {
			q.Offset += q.Size
		}
	}
}
