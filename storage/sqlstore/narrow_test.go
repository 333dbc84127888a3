package sqlstore

import (
	"fmt"
	"testing"

	"waybill/internal/job"
)

// However much a filter asks about job configs, few statements look at them; and it finds the same.
func TestFiltersLookAtJobConfigsAFewTimes(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		account := seeded(t, s, 200)
		ask := func(n int) (list job.List[job.Job], statements int, err error) {
			var some job.Or
			for i := range n {
				some = append(some, job.Compare{Property: "jobConfig.description", Op: job.Like, Values: []any{fmt.Sprint("nobody says ", i)}},
					job.Compare{Property: "jobConfig.objectId", Op: job.Like, Values: []any{"7"}})
			}
			statements = len(spied(t, s, func() {
				list, _, err = s.Jobs(t.Context(), job.Query{Scope: job.Scope{AccountID: account}, Where: some, Size: 100, Sort: []job.Sort{{Property: "id"}}})
			}))
			return list, statements, err
		}
		few, _, err := ask(1)
		if err != nil || len(few.Items) == 0 {
			t.Fatalf("%d jobs, %v", len(few.Items), err)
		}
		more, sent, err := ask(50)
		if err != nil || sent > 30 || len(more.Items) != len(few.Items) || more.Items[0].ID != few.Items[0].ID {
			t.Errorf("%d jobs, want %d, by %d statements, %v", len(more.Items), len(few.Items), sent, err)
		}
		if _, sent, err := ask(maxComparisons); job.CodeOf(err) != job.Invalid || sent > maxConfigLooks {
			t.Errorf("too many comparisons: %v, after %d statements", err, sent)
		}
	})
}
