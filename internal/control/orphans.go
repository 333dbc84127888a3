package control

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"waybill/internal/job"
)

// OpenWorkflow is a workflow of a job that the engine runs: Job, or the Retry around it.
type OpenWorkflow struct {
	Job      job.ID
	Workflow string // its id and its run
	Run      string
	Started  time.Time
}

// OpenWorkflows is the engine's list of them. It may lag a second behind.
type OpenWorkflows interface {
	// OpenWorkflows gives a page of about a thousand, and what to ask for the next one with; nil begins, and ends.
	OpenWorkflows(ctx context.Context, page []byte) (found []OpenWorkflow, next []byte, err error)
	// TerminateWorkflow ends one from outside. One that has ended is not an error.
	TerminateWorkflow(ctx context.Context, w OpenWorkflow, why string) error
}

// KnownJob is what the orphanage needs of a job.
type KnownJob struct {
	FinishedAt time.Time // zero: unfinished
}

// KnownJobs finds out which jobs there are.
type KnownJobs interface {
	// KnownJobs looks ids up, of any account; one that is absent is not in the answer.
	KnownJobs(ctx context.Context, ids []job.ID) (map[job.ID]KnownJob, error)
}

// Orphanage ends workflows that no unfinished job stands behind: because the database was put back to an older copy, or
// another one, or because whoever ended the job did not reach the workflow. A namespace of the engine therefore belongs to
// one database.
type Orphanage struct {
	Engine  OpenWorkflows
	Known   KnownJobs
	Starter Starter
	Now     Clock
	Log     *slog.Logger
	// Ours fails unless the engine's namespace is known to be this installation's: in another one's all workflows look like orphans.
	// nil: nobody else can have it.
	Ours func(ctx context.Context) error

	page []byte    // where the next look begins
	rest time.Time // until when there is none
}

// Pace of the orphanage.
const (
	orphanGrace = time.Minute // a workflow, or the end of a job, younger than this is left alone
	// orphanPatience is how long a workflow gets to end by itself after its job did: it is asked to cancel, which lets it close
	// as the job did as soon as a worker is there.
	orphanPatience = time.Hour
	orphanRest     = 30 * time.Second // pause between two rounds
)

// Duty is the orphanage as a part of the reconciler's loop: a page at every tick, then a rest.
func (o *Orphanage) Duty() Duty {
	return Duty{Name: "look for workflows without jobs", Every: tick, Engine: true, Do: o.look}
}

func (o *Orphanage) look(ctx context.Context, back bool) error {
	now := o.Now()
	if back { // the pages may be those of an engine that is gone
		o.page, o.rest = nil, time.Time{}
	}
	if now.Before(o.rest) {
		return nil
	}
	found, next, err := o.Engine.OpenWorkflows(ctx, o.page)
	if err != nil {
		o.page, o.rest = nil, now.Add(orphanRest)
		return err
	}
	if o.page = next; len(next) == 0 {
		o.rest = now.Add(orphanRest)
	}
	var ids []job.ID
	for _, w := range found {
		if now.Sub(w.Started) > orphanGrace {
			ids = append(ids, w.Job)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	// The rows are read after the list: a row is stored before its workflow starts, so what is not there now never was.
	known, err := o.Known.KnownJobs(ctx, ids)
	if err != nil {
		return err
	}
	var orphans []OpenWorkflow
	for _, w := range found {
		if orphaned(w, known, now) {
			orphans = append(orphans, w)
		}
	}
	if len(orphans) > 0 && o.Ours != nil {
		if err := o.Ours(ctx); err != nil { // and all of the round is looked at again
			o.page, o.rest = nil, now.Add(orphanRest)
			return err
		}
	}
	for _, w := range orphans {
		if err := o.end(ctx, w, known, now); outage(err) != nil {
			return err
		} else if err != nil {
			o.Log.WarnContext(ctx, "workflow not ended", "workflow", w.Workflow, "error", err)
		}
	}
	return nil
}

// orphaned tells whether no unfinished job stands behind a workflow, nor has just done so.
func orphaned(w OpenWorkflow, known map[job.ID]KnownJob, now time.Time) bool {
	j, there := known[w.Job]
	switch {
	case now.Sub(w.Started) <= orphanGrace:
		return false
	case !there:
		return true
	}
	return !j.FinishedAt.IsZero() && now.Sub(j.FinishedAt) > orphanGrace
}

// end ends the workflow of a job that is not there, or has ended for longer than the grace.
func (o *Orphanage) end(ctx context.Context, w OpenWorkflow, known map[job.ID]KnownJob, now time.Time) error {
	j, there := known[w.Job]
	switch over := now.Sub(j.FinishedAt); {
	case !there:
		o.Log.WarnContext(ctx, "terminate a workflow that has no job in the database", "workflow", w.Workflow, "started", w.Started)
		return o.Engine.TerminateWorkflow(ctx, w, "Waybill's database has no such job")
	case over <= orphanPatience:
		return o.Starter.CancelJob(ctx, w.Job)
	}
	o.Log.WarnContext(ctx, "terminate a workflow whose job has ended long ago", "workflow", w.Workflow, "ended", j.FinishedAt)
	return o.Engine.TerminateWorkflow(ctx, w, "The job has ended")
}

// openLimit bounds how many open workflows are held in memory for one pass over the unfinished jobs; those beyond are looked
// up one by one.
const openLimit = 200_000

// listOpen lists the jobs whose workflow is open, for one pass over the unfinished ones: a call for a thousand of them is
// much cheaper than a call for each.
func (r *Reconciler) listOpen(ctx context.Context) map[job.ID]struct{} {
	open := map[job.ID]struct{}{}
	if r.Open == nil {
		return open
	}
	for page := []byte(nil); len(open) < openLimit; {
		r.comeOn()
		found, next, err := r.Open.OpenWorkflows(ctx, page)
		if err != nil {
			r.complain(ctx, "open workflows not listed", err)
			return open
		}
		for _, w := range found {
			open[w.Job] = struct{}{}
		}
		if page = next; len(next) == 0 {
			break
		}
	}
	return open
}

// mendersAtOnce is how many jobs of a page are looked up in the engine at the same time: after the engine's files were lost
// all of them are to be started again.
const mendersAtOnce = 8

// mendAll mends a page of jobs but those that are open and ask for nothing. It returns the first sign of an outage.
func (r *Reconciler) mendAll(ctx context.Context, jobs []job.Job, open map[job.ID]struct{}) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(mendersAtOnce)
	for _, j := range jobs {
		if _, is := open[j.ID]; is && !j.Unreachable && j.Status != job.Cancelling {
			continue
		}
		group.Go(func() error { return r.mend(gctx, j) })
	}
	return group.Wait()
}
