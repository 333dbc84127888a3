package sqlstore

import (
	"slices"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore/seed"
)

// What a general user is shown is what a plain look at every job finds: their own, those of their job configs, and those of the configs they
// were given.
func TestGeneralUsersSeeTheirOwnAndWhatTheyWereGiven(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		account := seeded(t, s, 2000)
		everything, _, err := s.Jobs(t.Context(), job.Query{Scope: job.Scope{AccountID: account}, Size: 5000})
		if err != nil {
			t.Fatal(err)
		}
		var owned []int64 // by user 4711: job configs, but no jobs
		for _, name := range []string{"mine", "mine too"} {
			c, err := s.CreateConfig(t.Context(), job.Config{
				AccountID: account, Name: name, ObjectID: seed.ID(len(name) + 900_000), Owner: job.UserRef{ID: 4711}, CreatedAt: s.now(), ModifiedAt: s.now(),
			})
			if err != nil {
				t.Fatal(err)
			}
			owned = append(owned, c.ID)
		}
		moved := everything.Items[3].ConfigID
		if _, err := s.pools[0].ExecContext(t.Context(), "UPDATE jobs SET config_id = "+decimalOf(owned[0])+" WHERE config_id = "+decimalOf(moved)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.pools[0].ExecContext(t.Context(), "UPDATE job_counts SET config_id = "+decimalOf(owned[0])+" WHERE config_id = "+decimalOf(moved)); err != nil {
			t.Fatal(err)
		}
		if everything, _, err = s.Jobs(t.Context(), job.Query{Scope: job.Scope{AccountID: account}, Size: 5000}); err != nil {
			t.Fatal(err)
		}
		all, err := s.Configs(t.Context(), job.Query{Scope: job.Scope{AccountID: account}, Size: 5000})
		if err != nil {
			t.Fatal(err)
		}
		owner := map[int64]int64{}
		for _, c := range all.Items {
			owner[c.ID] = c.Owner.ID
		}
		var configs []int64 // one of many
		for _, j := range everything.Items {
			if !slices.Contains(configs, j.ConfigID) {
				configs = append(configs, j.ConfigID)
			}
		}
		for name, scope := range map[string]job.Scope{
			"an owner of jobs":    {OwnerID: seed.Owner(account, 3)},
			"an owner of configs": {OwnerID: 4711},
			"one who was given":   {OwnerID: 4712, Configs: configs[1:4]},
			"all of it":           {OwnerID: seed.Owner(account, 3), Configs: configs[2:8]},
			"much":                {OwnerID: seed.Owner(account, 3), Configs: configs},
			"a key for two":       {OwnerID: seed.Owner(account, 3), Configs: configs[2:8], Only: configs[1:4]},
			"an admin's key":      {Only: configs[5:7]},
			"of another account":  {OwnerID: 4713, Configs: []int64{seed.Config(account+1, 5)}},
		} {
			scope.AccountID = account
			may := func(j job.Job) bool {
				if len(scope.Only) > 0 && !slices.Contains(scope.Only, j.ConfigID) {
					return false
				}
				return scope.OwnerID == 0 || j.OwnerID == scope.OwnerID || slices.Contains(scope.Configs, j.ConfigID) || owner[j.ConfigID] == scope.OwnerID
			}
			for filter, where := range map[string]job.Expr{
				"": nil, "failed": job.Compare{Property: "status", Op: job.Eq, Values: []any{job.Failed}}, "queued": job.Compare{Property: "status", Op: job.Eq, Values: []any{job.Queued}},
				"late": job.Compare{Property: "attempt", Op: job.Gte, Values: []any{"0"}},
			} {
				var want []job.ID
				for _, j := range everything.Items {
					if may(j) && (filter != "failed" || j.Status == job.Failed) && (filter != "queued" || j.Status == job.Queued) {
						want = append(want, j.ID)
					}
				}
				for _, keyset := range []bool{false, true} {
					var got []job.ID
					q := job.Query{Scope: scope, Where: where, Size: 170, Stats: true, Keyset: keyset}
					for more := true; more; {
						page, stats, err := s.Jobs(t.Context(), q)
						if err != nil {
							t.Fatal(err)
						}
						for _, j := range page.Items {
							got = append(got, j.ID)
						}
						total := stats.Queued + stats.Running + stats.Finished + stats.Error + stats.Failed + stats.Cancelled
						if int(total) != len(want) || !keyset && page.Total != len(want) {
							t.Errorf("%s, %s: %d counted, total %d, want %d", name, filter, total, page.Total, len(want))
						}
						q.After, more = page.Next, page.More
						if !keyset {
							q.Offset += q.Size
						}
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s, %s, keyset %v: %d jobs, want %d", name, filter, keyset, len(got), len(want))
					}
				}
			}
		}
	})
}

func decimalOf(id int64) string { return strings.TrimSpace(toJSON(id)) }

// The stream of events and the list of job configs are as wide as the list of jobs.
func TestEventsAndConfigsAreAsWideAsJobs(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		scope := job.Scope{AccountID: c.AccountID, OwnerID: c.Owner.ID + 4711}
		mark, err := s.LatestEvent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Submit(t.Context(), control.Submission{Job: job.Job{
			ID: "69b9209b00000000000000c1", AccountID: c.AccountID, ConfigID: c.ID, OwnerID: c.Owner.ID,
		}}); err != nil {
			t.Fatal(err)
		}
		look := func(scope job.Scope) (events, configs int) {
			t.Helper()
			list, _, err := s.Events(t.Context(), control.EventQuery{Scope: scope, After: mark})
			if err != nil {
				t.Fatal(err)
			}
			found, err := s.Configs(t.Context(), job.Query{Scope: scope})
			if err != nil {
				t.Fatal(err)
			}
			return len(list), len(found.Items)
		}
		// PostgreSQL shows events once no transaction is older, in whatever database of the server: other tests have some.
		eventually(t, "the event is there to see", func() bool {
			events, _ := look(job.Scope{AccountID: c.AccountID})
			return events == 1
		})
		if events, configs := look(scope); events != 0 || configs != 0 {
			t.Errorf("without grants: %d events, %d configs", events, configs)
		}
		scope.Configs = []int64{c.ID}
		if events, configs := look(scope); events != 1 || configs != 1 {
			t.Errorf("given the config: %d events, %d configs", events, configs)
		}
		scope.AccountID++
		if events, configs := look(scope); events != 0 || configs != 0 {
			t.Errorf("of another account: %d events, %d configs", events, configs)
		}
	})
}

// As many job configs as the policies of a user may name are more than a statement has room for.
func TestAScopeMayNameManyJobConfigs(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		account := seeded(t, s, 2000)
		mine := seed.Config(account, 5)
		scope := job.Scope{AccountID: account, OwnerID: 4711, Configs: []int64{mine}}
		for id := range int64(70_000) {
			scope.Configs = append(scope.Configs, 10_000_000+id)
		}
		is := job.Compare{Property: "jobConfig.id", Op: job.Eq, Values: []any{mine}}
		want, _, err := s.Jobs(t.Context(), job.Query{Scope: job.Scope{AccountID: account}, Where: is, Size: 5000})
		if err != nil || len(want.Items) == 0 {
			t.Fatal(len(want.Items), err)
		}
		for name, q := range map[string]job.Query{"all": {}, "failed": {Where: job.Compare{Property: "status", Op: job.Ne, Values: []any{job.Queued}}}} {
			q.Scope, q.Size, q.Stats = scope, 5000, true
			got, _, err := s.Jobs(t.Context(), q)
			if err != nil || len(got.Items) == 0 || name == "all" && (len(got.Items) != len(want.Items) || got.Total != len(want.Items)) {
				t.Errorf("%s: %d jobs of %d, %v", name, len(got.Items), len(want.Items), err)
			}
		}
		configs, err := s.Configs(t.Context(), job.Query{Scope: scope, Size: 10})
		if err != nil || len(configs.Items) != 1 {
			t.Errorf("%d job configs, %v", len(configs.Items), err)
		}
	})
}

// A list of some length in the filter, for each of many job configs in sight, is more than a statement has room for.
func TestAWideScopeAndALongFilter(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		account := seeded(t, s, 2000)
		scope := job.Scope{AccountID: account, OwnerID: 4711}
		for k := range 199 {
			scope.Configs = append(scope.Configs, seed.Config(account, k))
		}
		var ids []any
		for i := range 400 {
			ids = append(ids, seed.ID(1+i))
		}
		got, _, err := s.Jobs(t.Context(), job.Query{Scope: scope, Where: job.Compare{Property: "id", Op: job.In, Values: ids}, Size: 1000})
		all, _, plain := s.Jobs(t.Context(), job.Query{Scope: job.Scope{AccountID: account}, Where: job.Compare{Property: "id", Op: job.In, Values: ids}, Size: 1000})
		if err != nil || plain != nil || len(got.Items) != len(all.Items) || len(got.Items) == 0 {
			t.Errorf("%d jobs of %d, %v, %v", len(got.Items), len(all.Items), err, plain)
		}
	})
}
