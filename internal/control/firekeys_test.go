package control_test

import (
	"context"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// olderKeys stores the keys of fires as the owner's, as an older version does.
type olderKeys struct {
	control.JobWriter
	owner int64
}

func (k olderKeys) Submit(ctx context.Context, sub control.Submission) (job.Job, bool, error) {
	sub.Idempotency.Caller = k.owner
	return k.JobWriter.Submit(ctx, sub)
}

func TestAFireThatIsRepeatedForAnotherOwnerMakesNoSecondJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.scheduled(everyMinute())
	next := job.Actor{AccountID: w.admin.AccountID, User: w.User(t, "next", "violet-harbour-42").Ref(), Admin: true}
	first, err := w.jobs.SubmitHeld(t.Context(), w.admin, c, "s", w.to(1))
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.jobs.SubmitHeld(t.Context(), next, c, "s", w.to(0))
	if err != nil || !again.Replayed || again.Job.ID != first.Job.ID {
		t.Errorf("%s, then %s, %v", first.Job.ID, again.Job.ID, err)
	}
	at := w.to(1)
	w.jobs.Writer = olderKeys{w.store, w.admin.User.ID}
	older, err := w.jobs.SubmitHeld(t.Context(), w.admin, c, "s", at)
	if err != nil || older.Job.ID == first.Job.ID {
		t.Fatal(older.Job.ID, err)
	}
	w.jobs.Writer = w.store
	if again, err = w.jobs.SubmitHeld(t.Context(), w.admin, c, "s", at); err != nil || again.Job.ID != older.Job.ID {
		t.Errorf("by an older version %s, then %s, %v", older.Job.ID, again.Job.ID, err)
	}
	if n := w.jobsMade(); n != 2 {
		t.Errorf("%d jobs", n)
	}
}
