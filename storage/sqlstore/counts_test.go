package sqlstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"waybill/internal/job"
)

// Whatever writers do at once, and whenever changes are added to the counters, what is counted is what is there.
func TestCountersAreWhatIsThere(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		const writers, each = 4, 40
		var group errgroup.Group
		for w := range writers {
			group.Go(func() error {
				random := rand.New(rand.NewPCG(uint64(w), 1))
				for i := range each {
					id := job.ID(fmt.Sprintf("%024x", w*1000+i))
					sub := submission(c, id)
					sub.Job.Tags = someTags[:random.IntN(len(someTags)+1)]
					sub.Job.OwnerID, sub.Job.SubmittedBy = int64(random.IntN(3)), job.UserRef{ID: 7, Name: "Ünal"}
					if _, _, err := s.Submit(t.Context(), sub); err != nil {
						return err
					}
					if err := endSomehow(t, s, c.AccountID, id, random); err != nil {
						return err
					}
					if random.IntN(8) == 0 {
						if err := s.FoldCounts(t.Context()); err != nil {
							return err
						}
					}
					if random.IntN(10) == 0 {
						if _, err := s.takeFamily(t.Context(), c.AccountID, string(id), job.RetentionPlace{Finished: 1 << 62}, s.now()); err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		check := func(when string, scope job.Scope) {
			t.Helper()
			got, err := s.census(t.Context(), sight{Scope: scope}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			n, want, err := s.countAtMost(t.Context(), jobListing, scoped(scope))
			if err != nil || got.total != n || got.stats != want || n == 0 {
				t.Errorf("%s: counted %d, %+v; there are %d, %+v, %v", when, got.total, got.stats, n, want, err)
			}
			for _, tag := range someTags {
				got, err := s.census(t.Context(), sight{Scope: scope}, nil, []string{tag})
				if err != nil {
					t.Fatal(err)
				}
				n, want, err := s.countAtMost(t.Context(), jobListing, scoped(scope).and(s.hasTag([]string{tag})))
				if err != nil || got.total != n || got.stats != want || n == 0 {
					t.Errorf("%s, tag %q: counted %d, %+v; there are %d, %+v, %v", when, tag, got.total, got.stats, n, want, err)
				}
			}
			rows, _, err := one[int](s.read.WithContext(t.Context()), "SELECT count(*) FROM job_tagged")
			want2, _, err2 := one[int](s.read.WithContext(t.Context()), "SELECT count(*) FROM job_tagged t JOIN jobs j ON j.id = t.job_id JOIN job_tags g ON g.job_id = j.id AND g.tag = t.tag "+
				"WHERE j.account_id = t.account AND j.status = t.ended_as AND j.scheduled_at = t.at AND j.finished_at IS NOT NULL")
			ended, _, err3 := one[int](s.read.WithContext(t.Context()), "SELECT count(*) FROM job_tags g JOIN jobs j ON j.id = g.job_id WHERE j.finished_at IS NOT NULL")
			if err := errors.Join(err, err2, err3); err != nil || rows != want2 || rows != ended || rows == 0 {
				t.Errorf("%s: %d rows by tags, %d of them right, of %d; %v", when, rows, want2, ended, err)
			}
		}
		for _, when := range []string{"before", "after"} {
			check(when, job.Scope{AccountID: c.AccountID})
			check(when+", one owner", job.Scope{AccountID: c.AccountID, OwnerID: 1})
			if err := s.FoldCounts(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, changes := range []string{"job_count_changes", "job_tag_count_changes"} {
			if left, _, err := one[int](s.read.WithContext(t.Context()), "SELECT count(*) FROM "+changes); err != nil || left != 0 {
				t.Errorf("%d rows are left in %s, %v", left, changes, err)
			}
		}
	})
}

// Tags as people write them, and as they do not.
var someTags = []string{"nightly", "Zürich", `a "quoted" \\ tag, [1]`, "🚂"}

// endSomehow does with a job what may be done, or nothing.
func endSomehow(t *testing.T, s *Store, account int64, id job.ID, random *rand.Rand) error {
	at := time.Now()
	switch random.IntN(5) {
	case 0:
		return nil
	case 1:
		_, err := s.Cancel(t.Context(), account, id, job.UserRef{ID: 1, Name: "admin"}, at, 0)
		return err
	case 2:
		_, err := s.Settle(t.Context(), account, id, 9, job.Outcome{Status: job.Failed, Reason: job.ReasonWorkerLost, At: at})
		return err
	}
	if _, _, err := s.Begin(t.Context(), account, id, 1, "w", at); err != nil {
		return err
	}
	if err := s.Started(t.Context(), account, id, 1, "", at); err != nil {
		return err
	}
	o := job.Outcome{Status: job.Completed, At: at.Add(time.Duration(random.IntN(5000)) * time.Millisecond)}
	if random.IntN(2) == 0 {
		o.Status, o.Reason = job.Failed, job.ReasonError
	}
	_, err := s.Finish(t.Context(), account, id, 1, o)
	return err
}

// A database that has jobs already begins with the right numbers.
func TestCountersBeginWithTheJobsThatAreThere(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		account := seeded(t, s, 2000)
		before, err := s.census(t.Context(), sight{Scope: job.Scope{AccountID: account}}, nil, nil)
		if err != nil || before.total != 1600 {
			t.Fatalf("%d jobs, %v", before.total, err)
		}
		tag := []string{"nightly"}
		tagged, err := s.census(t.Context(), sight{Scope: job.Scope{AccountID: account}}, nil, tag)
		if err != nil || tagged.total == 0 {
			t.Fatalf("%d jobs with a tag, %v", tagged.total, err)
		}
		if _, err := s.MigrateDown(t.Context(), 14); err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := s.census(t.Context(), sight{Scope: job.Scope{AccountID: account}}, nil, nil)
		if err != nil || after.total != before.total || after.stats != before.stats {
			t.Errorf("after the migration %+v, before it %+v, %v", after.stats, before.stats, err)
		}
		after, err = s.census(t.Context(), sight{Scope: job.Scope{AccountID: account}}, nil, tag)
		if err != nil || after.total != tagged.total || after.stats != tagged.stats {
			t.Errorf("with a tag, after the migration %+v, before it %+v, %v", after.stats, tagged.stats, err)
		}
		rows, _, err := one[int64](s.read.WithContext(t.Context()), "SELECT count(*) FROM job_tagged WHERE account = ? AND tag = 'nightly'", account)
		if ended := tagged.total - int64(tagged.stats.Queued); err != nil || rows != ended {
			t.Errorf("%d jobs that ended by their tag, want %d, %v", rows, ended, err)
		}
	})
}
