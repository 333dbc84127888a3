package control_test

import (
	"context"
	"errors"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// silent is an engine that takes cancels only when all jobs are recorded as asked to end.
type silent struct {
	*engine
	w    *world
	jobs []job.ID
}

func (e *silent) CancelJob(ctx context.Context, id job.ID) error {
	for _, id := range e.jobs {
		if j := e.w.job(id); j.Status != job.Cancelling && j.Status != job.Cancelled {
			e.w.t.Errorf("the engine is told of a cancel while job %s is %s", id, j.Status)
		}
	}
	return errors.Join(errDown, e.engine.CancelJob(ctx, id))
}

// inPairs reads no more than two jobs at a time.
type inPairs struct{ control.JobReader }

func (r inPairs) Jobs(ctx context.Context, q job.Query) (job.List[job.Job], job.JobStats, error) {
	q.Size = min(q.Size, 2)
	return r.JobReader.Jobs(ctx, q)
}

func TestAStopRecordsAllRunsBeforeTheEngineIsTold(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(w *world, c job.Config) (newest job.ID, err error){
		"of a task": func(w *world, c job.Config) (job.ID, error) {
			all, err := w.jobs.StopActive(t.Context(), w.admin, c.ObjectID, 0, 0)
			if len(all) != 5 {
				return "", err
			}
			return all[0].ID, err
		},
		"of a document": func(w *world, c job.Config) (job.ID, error) {
			j, _, err := w.Runs.Stop(t.Context(), w.admin, c.ObjectID, "")
			return j.ID, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c, other := w.runnable(w.admin, "mine"), w.runnable(w.admin, "other")
			e := &silent{engine: w.engine, w: w}
			w.jobs.Starter, w.jobs.Reader = e, inPairs{w.store}
			for range 5 {
				w.Pass(1000)
				e.jobs = append(e.jobs, w.submit(c).ID)
			}
			w.Take(t, w.admin.AccountID, e.jobs[0])
			untouched := w.submit(other)
			newest, err := stop(w, c)
			if err != nil || newest != e.jobs[4] {
				t.Errorf("newest is %s, want %s, %v", newest, e.jobs[4], err)
			}
			if len(w.engine.cancels) != 5 {
				t.Errorf("the engine was told of %d", len(w.engine.cancels))
			}
			for _, id := range e.jobs {
				if j := w.job(id); j.Status != job.Cancelling && j.Status != job.Cancelled || j.StoppedBy.ID != w.admin.User.ID {
					t.Errorf("job %s is %s", id, j.Status)
				}
			}
			if j := w.job(untouched.ID); j.Status != job.Queued {
				t.Errorf("another config's job is %s", j.Status)
			}
		})
	}
}

func TestAStopOfOneRunLeavesTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.runnable(w.admin, "mine")
	first, second := w.submit(c), w.submit(c)
	all, err := w.jobs.StopActive(t.Context(), w.admin, c.ObjectID, first.RunNumber, 0)
	if err != nil || len(all) != 1 || all[0].ID != first.ID || w.job(second.ID).Status != job.Queued {
		t.Errorf("stopped %v, %v", all, err)
	}
	if j, stopped, err := w.Runs.Stop(t.Context(), w.admin, c.ObjectID, string(second.ID)); err != nil || !stopped || j.ID != second.ID {
		t.Errorf("stopped %v, %v, %v", j.ID, stopped, err)
	}
	if all, err := w.jobs.StopActive(t.Context(), w.admin, c.ObjectID, 0, 0); err != nil || len(all) != 0 {
		t.Errorf("stopped again: %v, %v", all, err)
	}
}
