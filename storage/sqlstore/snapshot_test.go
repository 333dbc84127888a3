package sqlstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// A job that ends between the two reads that a list is made of is in the list.
func TestAJobThatEndsIsNotMissingFromAList(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		id := job.ID(fmt.Sprintf("%024x", 1))
		sub := submission(c, id)
		if _, _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		ended := false
		var fault error
		end := func(db *gorm.DB) {
			if ended || !strings.Contains(db.Statement.SQL.String(), "job_counts") {
				return
			}
			ended = true
			_, fault = s.Settle(t.Context(), c.AccountID, id, 9, job.Outcome{Status: job.Failed, Reason: job.ReasonWorkerLost, At: time.Now()})
		}
		if err := s.read.Callback().Row().After("*").Register("end", end); err != nil {
			t.Fatal(err)
		}
		list := func() job.List[job.Job] {
			t.Helper()
			found, _, err := s.Jobs(t.Context(), job.Query{
				Scope: job.Scope{AccountID: c.AccountID},
				Where: job.Compare{Property: "packageName", Op: job.Eq, Values: []any{sub.Job.Spec.PackageName}},
			})
			if err = errors.Join(err, fault); err != nil {
				t.Fatal(err)
			}
			return found
		}
		if found := list(); !ended || len(found.Items) != 1 || found.Total != 1 {
			t.Errorf("ended %v: the list has %d jobs, and says that there are %d; want 1", ended, len(found.Items), found.Total)
		}
		if found := list(); len(found.Items) != 1 || found.Items[0].Status != job.Failed {
			t.Errorf("after its end the list has %v", found.Items)
		}
	})
}
