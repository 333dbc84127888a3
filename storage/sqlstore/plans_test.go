package sqlstore

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gorm.io/gorm"

	"waybill/internal/job"
	"waybill/storage/sqlstore/seed"
)

// seeded fills a store's tables and gives its first account.
func seeded(t *testing.T, s *Store, jobs int) int64 {
	t.Helper()
	c := inhabited(t, s)
	if err := seed.Jobs(t.Context(), s.pools[0], s.driver == Postgres, [3]int64{c.AccountID, c.AccountID + 1, c.AccountID + 2}, jobs); err != nil {
		t.Fatal(err)
	}
	if err := s.FoldCounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.driver == Postgres { // as autovacuum does after such a change: a million changes are rows no more
		const counters = "VACUUM ANALYZE job_counts, job_count_changes, job_tag_counts, job_tag_count_changes, job_tagged"
		if _, err := s.pools[0].ExecContext(t.Context(), counters); err != nil {
			t.Fatal(err)
		}
	}
	return c.AccountID
}

// spied collects the statements that fn sends, with their values.
func spied(t *testing.T, s *Store, fn func()) []*gorm.Statement {
	t.Helper()
	var sent []*gorm.Statement
	spy := func(db *gorm.DB) {
		if db.Statement.SQL.Len() > 0 {
			text := &gorm.Statement{Vars: append([]any(nil), db.Statement.Vars...)}
			text.SQL.WriteString(db.Statement.SQL.String())
			sent = append(sent, text)
		}
	}
	if err := s.read.Callback().Row().After("*").Register("spy", spy); err != nil {
		t.Fatal(err)
	}
	fn()
	if err := s.read.Callback().Row().Remove("spy"); err != nil {
		t.Fatal(err)
	}
	return sent
}

// The words of a plan that read more than a page wants: all jobs, or more of them than are sorted for a page.
var (
	scansJobs  = regexp.MustCompile(`Seq Scan on jobs\b|(?m)^SCAN jobs$`)
	walksIndex = regexp.MustCompile(`SCAN jobs USING`) // SQLite: a whole index, not a part
)

// mostSorted is how many rows a page may be sorted from: a page of each branch.
const mostSorted = (maxBranches + 1) * (defaultSize + 1)

var (
	sortsRows  = regexp.MustCompile(`\b(?:Sort|Incremental Sort)  \(cost=\S+ rows=(\d+)`)
	sortsTable = "USE TEMP B-TREE FOR ORDER BY"
)

// sortsMore tells whether a plan sorts more than a page is put together from. SQLite does not tell how many: its sorts may be that of the
// unfinished and that of the rows that were picked in the branches.
func (s *Store) sortsMore(st *gorm.Statement, plan string) bool {
	if s.driver == SQLite {
		allowed := 0
		if strings.Contains(st.SQL.String(), "AS picked") {
			allowed = 2
		}
		return strings.Count(plan, sortsTable) > allowed
	}
	for _, m := range sortsRows.FindAllStringSubmatch(plan, -1) {
		if n, err := strconv.Atoi(m[1]); err != nil || n > mostSorted {
			return true
		}
	}
	return false
}

func (s *Store) plan(t *testing.T, st *gorm.Statement) string {
	t.Helper()
	if s.driver == SQLite {
		return explained(t, s, st.SQL.String(), st.Vars...)
	}
	rows, err := s.pools[0].QueryContext(t.Context(), "EXPLAIN "+st.SQL.String(), st.Vars...)
	if err != nil {
		t.Fatalf("%v\n%s", err, st.SQL.String())
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	return plan.String()
}

// plansVariable is how many jobs the plans are made for (docs/performance.md).
const plansVariable = "WAYBILL_PLAN_JOBS"

func plannedJobs(t *testing.T, s *Store) int {
	t.Helper()
	if text := os.Getenv(plansVariable); text != "" {
		jobs, err := strconv.Atoi(text)
		if err != nil || jobs < 5_000 {
			t.Fatalf("%s is %q, want a number from 5000", plansVariable, text)
		}
		return jobs
	}
	if s.driver == SQLite { // its plans do not depend on how many there are, and it is what the race detector slows down
		return 5_000
	}
	return 20_000
}

// No list that people look at reads all jobs or sorts more than the pages of a few classes.
func TestListsReadNoMoreThanTheyShow(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		jobs := plannedJobs(t, s)
		account, plans := seeded(t, s, jobs), 0
		is := func(property string, value any) job.Expr {
			return job.Compare{Property: property, Op: job.Eq, Values: []any{value}}
		}
		queries := map[string]job.Query{
			"all":                {},
			"keyset":             {Keyset: true, After: []string{fmt.Sprint(seed.Time(jobs / 2)), seed.ID(jobs / 2)}},
			"config":             {Where: is("jobConfig.id", seed.Config(account, 5))},
			"failed":             {Where: is("status", job.Failed)},
			"timeouts":           {Where: job.And{is("status", job.Failed), is("reason", job.ReasonTimeout)}},
			"failed of a config": {Where: job.And{is("status", job.Failed), is("jobConfig.id", seed.Config(account, 5))}},
			"nothing":            {Where: job.And{is("status", job.Completed), is("reason", job.ReasonTimeout)}},
			"queued":             {Where: is("status", job.Queued)},
			"destination":        {Where: is("destination.id", 3)},
			"package":            {Where: job.Compare{Property: "packageName", Op: job.Like, Values: []any{"PACKAGE7.dj"}}},
			"no such name":       {Where: job.Compare{Property: "jobConfig.name", Op: job.Like, Values: []any{"nobody"}}},
			"dates": {Where: job.And{
				job.Compare{Property: "scheduled", Op: job.Gte, Values: []any{fmt.Sprint(seed.Time(jobs/2) / 1000)}},
				job.Compare{Property: "scheduled", Op: job.Lte, Values: []any{fmt.Sprint(seed.Time(jobs/2+500) / 1000)}}}},
			"rare tag":         {Where: is("tags", "rare")},
			"tag":              {Where: is("tags", "nightly")},
			"some of a tag":    {Where: job.And{is("tags", "audit"), is("status", job.Failed)}},
			"tag, keyset":      {Where: is("tags", "nightly"), Keyset: true, After: []string{fmt.Sprint(seed.Time(jobs / 2)), seed.ID(jobs / 2)}},
			"two tags":         {Where: job.Compare{Property: "tags", Op: job.In, Values: []any{"nightly", "rare"}}, Keyset: true},
			"id":               {Where: is("id", seed.ID(7))},
			"retries":          {Where: is("retryOf", seed.ID(seed.WithRetry))},
			"family":           {Where: is("rootJob", seed.ID(seed.WithRetry))},
			"text":             {Where: anywhere("FIG 7")},
			"nothing anywhere": {Where: anywhere("zz")},
			"finished":         {Sort: []job.Sort{{Property: "finished", Desc: true}}},
			"first finished":   {Sort: []job.Sort{{Property: "finished"}}},
		}
		// These are few: all of them are read, then sorted.
		few := []string{"queued", "id", "retries", "family"}
		for name, q := range queries {
			for _, owner := range []int64{0, seed.Owner(account, 3)} {
				q.Scope, q.Stats, q.Size = job.Scope{AccountID: account, OwnerID: owner}, true, 25
				var list job.List[job.Job]
				sent := spied(t, s, func() {
					var err error
					if list, _, err = s.Jobs(t.Context(), q); err != nil {
						t.Fatal(err)
					}
				})
				if len(sent) == 0 {
					t.Fatal("nothing was sent")
				}
				if owner == 0 && strings.HasPrefix(name, "no") != (len(list.Items) == 0) {
					t.Errorf("%s: %d jobs", name, len(list.Items))
				}
				for _, st := range sent {
					// What has one of several tags is counted, up to a limit.
					if name == "two tags" && strings.Contains(st.SQL.String(), "AS counted") {
						continue
					}
					if strings.Contains(name, "tag") && strings.Contains(st.SQL.String(), "job_tags WHERE") {
						t.Errorf("%s, owner %d, reads all jobs with a tag:\n%s", name, owner, st.SQL.String())
					}
					plans++
					plan := strings.ReplaceAll(s.plan(t, st), "SCAN jobs USING INDEX jobs_unfinished", "") // which is small
					if scansJobs.MatchString(plan) || walksIndex.MatchString(plan) {
						t.Errorf("%s, owner %d, reads all jobs:\n%s\n%s", name, owner, st.SQL.String(), plan)
					}
					if !slices.Contains(few, name) && s.sortsMore(st, plan) {
						t.Errorf("%s, owner %d, sorts more than a page:\n%s\n%s", name, owner, st.SQL.String(), plan)
					}
				}
			}
		}
		for name, read := range map[string]func() error{
			"family": func() error { _, err := s.Family(t.Context(), account, job.ID(seed.ID(seed.WithRetry+1))); return err },
			"errors": func() error {
				// Of a job with twenty errors: the one with most of the errors there are is rightly read by reading all.
				_, err := s.Errors(t.Context(), account, job.ID(seed.ID(503)), job.Query{Scope: job.Scope{AccountID: account}, Size: 25})
				return err
			},
			"attempts": func() error { _, err := s.Attempts(t.Context(), account, job.ID(seed.ID(9))); return err },
		} {
			for _, st := range spied(t, s, func() {
				if err := read(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}) {
				plans++
				if plan := s.plan(t, st); scansJobs.MatchString(plan) || strings.Contains(plan, "Seq Scan on job_") {
					t.Errorf("%s reads a whole table:\n%s", name, plan)
				}
			}
		}
		t.Logf("%d plans looked at, for %d jobs", plans, jobs)
	})
}

// anywhere is a search for a text in the columns that the REST API's lists search.
func anywhere(text string) job.Expr {
	var all job.Or
	for _, property := range []string{"id", "jobConfig.name", "packageName", "tags"} {
		all = append(all, job.Compare{Property: property, Op: job.Like, Values: []any{text}})
	}
	return all
}

// What is read in a clever way is what the plain way finds: a condition that always holds, but that no counter knows, makes it plain.
func TestCleverListsAreThePlainOnes(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		account := seeded(t, s, 2000)
		// They began in another order than they were submitted in, and some never did.
		if _, err := run(s.write.WithContext(t.Context()), `UPDATE jobs SET started_at = CASE WHEN run_number % 50 = 7 THEN NULL
			ELSE started_at + run_number * 7919 % 1000 * 1000000 END WHERE finished_at IS NOT NULL`); err != nil {
			t.Fatal(err)
		}
		read := func(q job.Query) (jobs []job.Job, total int) {
			t.Helper()
			q.Scope, q.Size, q.Stats = job.Scope{AccountID: account}, 470, true
			for {
				list, _, err := s.Jobs(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				jobs, total = append(jobs, list.Items...), max(total, list.Total)
				if !list.More {
					return jobs, total
				}
				if q.After = list.Next; !q.Keyset {
					q.Offset += q.Size
				}
			}
		}
		ids := func(jobs []job.Job) (ids []job.ID) {
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
			return ids
		}
		for _, sort := range [][]job.Sort{
			nil, {{Property: "scheduled"}}, {{Property: "finished", Desc: true}}, {{Property: "finished"}}, {{Property: "started", Desc: true}}, {{Property: "started"}},
		} {
			everything, _ := read(job.Query{Where: job.Compare{Property: "attempt", Op: job.Gte, Values: []any{"0"}}, Sort: sort})
			if len(everything) != 1600 {
				t.Fatalf("%d jobs", len(everything))
			}
			for what, tags := range map[string][]any{"eq": {"nightly"}, "in": {"audit", "rare", "nightly"}} {
				op, rest := job.Op(job.In), job.Expr(job.Compare{Property: "status", Op: job.Ne, Values: []any{job.Cancelled}})
				if what == "eq" {
					op, rest = job.Eq, job.And{}
				}
				want := slices.DeleteFunc(slices.Clone(everything), func(j job.Job) bool {
					return !slices.ContainsFunc(j.Tags, func(tag string) bool { return slices.Contains(tags, any(tag)) }) || what == "in" && j.Status == job.Cancelled
				})
				for _, keyset := range []bool{false, true} {
					got, total := read(job.Query{Sort: sort, Keyset: keyset, Where: job.And{job.Compare{Property: "tags", Op: op, Values: tags}, rest}})
					if !slices.Equal(ids(got), ids(want)) || !keyset && total != len(want) || len(want) == 0 {
						t.Errorf("tags %s %v by %v, keyset %v: %d jobs, %d in all, want %d", what, tags, sort, keyset, len(got), total, len(want))
					}
				}
			}
			for _, text := range []string{"", "7", "FIG 7", "udit", "ghtl", "zz", "65", "nightly"} {
				q, want := job.Query{Sort: sort}, everything
				if text != "" {
					q.Where = anywhere(text)
					want = slices.DeleteFunc(slices.Clone(everything), func(j job.Job) bool {
						return !slices.ContainsFunc(append([]string{string(j.ID), j.ConfigName, j.Spec.PackageName}, j.Tags...), func(in string) bool {
							return strings.Contains(strings.ToLower(in), strings.ToLower(text))
						})
					})
				}
				for _, q.Keyset = range []bool{false, true} {
					got, total := read(q)
					if !slices.Equal(ids(got), ids(want)) || !q.Keyset && total != len(want) {
						t.Errorf("'%s' by %v, keyset %v: %d jobs, %d in all, want %d", text, sort, q.Keyset, len(got), total, len(want))
					}
				}
			}
		}
	})
}
