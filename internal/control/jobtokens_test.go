package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

func (w *world) jobToken(j job.Job, fence int64) string {
	w.t.Helper()
	tokens := control.JobTokens{Signer: w.sessions.Signer, Now: w.Now}
	text, err := tokens.Issue(j, fence)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func TestAJobsTokenLivesAsLongAsItsAttempt(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	j := w.submit(w.runnable(w.admin, "a"))
	first, second := job.Fence(w.Now(), 1), job.Fence(w.Now(), 2)
	token := w.jobToken(j, first)
	dead := func(when, token string) {
		t.Helper()
		_, err := w.sessions.Authenticate(ctx, token)
		if job.CodeOf(err) != job.Unauthenticated || job.WordOf(err) != job.WordTokenInvalid {
			t.Errorf("%s: %v", when, err)
		}
	}
	alive := func(when, token string) {
		t.Helper()
		a, err := w.sessions.Authenticate(ctx, token)
		if err != nil || a.User != w.admin.User || a.AccountID != w.admin.AccountID || a.Admin || a.Family != "" || a.Job == nil || a.Job.ID != j.ID || a.Job.ConfigID != j.ConfigID {
			t.Errorf("%s: %+v, %v", when, a, err)
		}
	}
	begin := func(fence int64) {
		t.Helper()
		if _, _, err := w.store.Begin(ctx, j.AccountID, j.ID, fence, "worker", w.Now()); err != nil {
			t.Fatal(err)
		}
	}
	dead("before the attempt began", token)
	begin(first)
	alive("while it runs", token)
	w.Pass(100 * 24 * time.Hour)
	alive("for as long as it runs", token)

	code := 1
	if err := w.store.Again(ctx, j.AccountID, j.ID, first, job.Outcome{Status: job.Failed, Reason: job.ReasonError, ReturnCode: &code, At: w.Now()}, w.Now()); err != nil {
		t.Fatal(err)
	}
	dead("between two attempts", token)
	begin(second)
	dead("while the next attempt runs", token)
	next := w.jobToken(j, second)
	alive("in the next attempt", next)
	if _, err := w.jobs.Cancel(ctx, w.admin, string(j.ID)); err != nil {
		t.Fatal(err)
	}
	alive("while it is asked to end", next)
	if _, err := w.store.Finish(ctx, j.AccountID, j.ID, second, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped, At: w.Now()}); err != nil {
		t.Fatal(err)
	}
	dead("when the job has ended", next)
}

func TestAJobsTokenActsForTheSubmitter(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	j := w.submit(w.runnable(w.admin, "a"))
	fence := job.Fence(w.Now(), 1)
	if _, _, err := w.store.Begin(ctx, j.AccountID, j.ID, fence, "worker", w.Now()); err != nil {
		t.Fatal(err)
	}
	token := w.jobToken(j, fence)
	a, err := w.sessions.Authenticate(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.jobs.Get(ctx, a, string(j.ID)); err != nil {
		t.Errorf("its own job: %v", err)
	}
	other := w.another("stranger")
	started, err := w.start(other, control.SubmitRequest{Config: w.runnable(other, "b").ObjectID})
	if err != nil {
		t.Fatal(err)
	}
	foreign := started.Job
	_, err = w.jobs.Get(ctx, a, string(foreign.ID))
	want(t, err, job.NotFound, job.WordNotFound)

	// A token that names another's job, or another account's, is nobody's.
	for _, forged := range []job.Job{
		{ID: j.ID, AccountID: other.AccountID, SubmittedBy: other.User}, {ID: j.ID, AccountID: j.AccountID, SubmittedBy: other.User},
		{ID: foreign.ID, AccountID: j.AccountID, SubmittedBy: w.admin.User}, {ID: "none", AccountID: j.AccountID, SubmittedBy: w.admin.User},
	} {
		_, err := w.sessions.Authenticate(ctx, w.jobToken(forged, fence))
		want(t, err, job.Unauthenticated, job.WordTokenInvalid)
	}

	w.sessions.Users = inactive{w.sessions.Users}
	_, err = w.sessions.Authenticate(ctx, token)
	want(t, err, job.Unauthenticated, job.WordUserInactive)
	w.sessions.Jobs = downJobs{}
	if _, err = w.sessions.Authenticate(ctx, token); job.CodeOf(err) != job.Unavailable {
		t.Errorf("with the database away: %v", err)
	}
}

type downJobs struct{}

func (downJobs) Job(context.Context, int64, job.ID) (job.Job, error) {
	return job.Job{}, job.Wrap(errors.New("refused"), job.Unavailable, job.WordDependencyDown, "The database is down")
}
