package activities

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// fires answers what control.Fires would, and notes what it was asked.
type fires struct {
	asked []contract.TakeFireInput
	fired contract.Fired
	err   error
}

func (f *fires) Take(_ context.Context, in contract.TakeFireInput) (contract.Fired, error) {
	f.asked = append(f.asked, in)
	return f.fired, f.err
}

// rows is one job's row.
type rows struct {
	job job.Job
	err error
}

func (r rows) Job(_ context.Context, account int64, id job.ID) (job.Job, error) {
	if r.err == nil && (account != r.job.AccountID || id != r.job.ID) {
		return job.Job{}, errors.New("another job")
	}
	return r.job, r.err
}

// rung notes the jobs of which those who wait were told.
type rung []job.ID

func (r *rung) Ring(id job.ID) { *r = append(*r, id) }

const firedID job.ID = "69b9209b00000000000000c1"

// retried tells whether the engine tries an activity again after the error.
func retried(err error) bool {
	var known *temporal.ApplicationError
	return !errors.As(err, &known) || !known.NonRetryable()
}

func TestTakeFireTellsThoseWhoWaitOfTheNewJob(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 17, 9, 45, 0, 0, time.UTC)
	in := contract.TakeFireInput{AccountID: 7, ConfigID: 44, At: at, Started: at, Paused: true, End: at}
	for name, fired := range map[string]contract.Fired{
		"a job": {Outcome: "started", JobID: firedID, At: at, Job: &contract.JobInput{JobID: firedID}}, "none": {Outcome: "refused", Message: "why", At: at},
	} {
		f, bell := &fires{fired: fired}, &rung{}
		got, err := New(Config{Fires: f, Bell: bell}).TakeFire(t.Context(), in)
		if err != nil || got.Outcome != fired.Outcome || got.JobID != fired.JobID || got.Job != fired.Job || got.Message != fired.Message {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if len(f.asked) != 1 || f.asked[0] != in {
			t.Errorf("%s: asked %+v", name, f.asked)
		}
		if want := fired.JobID != ""; (len(*bell) == 1) != want || want && (*bell)[0] != firedID {
			t.Errorf("%s: rang for %v", name, *bell)
		}
	}
}

func TestTakeFireIsRepeatedWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	for code, again := range map[job.Code]bool{job.Unavailable: true, job.Internal: true, job.Invalid: false, job.NotFound: false} {
		bell := &rung{}
		a := New(Config{Fires: &fires{fired: contract.Fired{JobID: firedID}, err: job.Errorf(code, job.WordInternal, "why")}, Bell: bell})
		if _, err := a.TakeFire(t.Context(), contract.TakeFireInput{}); err == nil || retried(err) != again || len(*bell) != 0 {
			t.Errorf("%s: %v, tried again: %v, rang for %v", code, err, retried(err), *bell)
		}
	}
}

func TestLookAtJobSaysWhatTheRowSays(t *testing.T) {
	t.Parallel()
	code := 3
	in := contract.LookAtJobInput{AccountID: 7, JobID: firedID}
	row := job.Job{ID: firedID, AccountID: 7, Status: job.Failed, Reason: job.ReasonError, ReturnCode: &code}
	got, err := New(Config{Jobs: rows{job: row}}).LookAtJob(t.Context(), in)
	if err != nil || got.JobID != firedID || got.Status != job.Failed || got.Reason != job.ReasonError || got.ReturnCode == nil || *got.ReturnCode != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	gone := rows{err: job.Errorf(job.NotFound, job.WordNotFound, "gone")}
	if got, err := New(Config{Jobs: gone}).LookAtJob(t.Context(), in); err != nil || !got.Status.Final() {
		t.Errorf("a job that retention deleted: %+v, %v", got, err)
	}
	away := rows{err: job.Errorf(job.Unavailable, job.WordDependencyDown, "away")}
	if _, err := New(Config{Jobs: away}).LookAtJob(t.Context(), in); err == nil || !retried(err) {
		t.Errorf("without a database: %v", err)
	}
}
