package control

import (
	"context"
	"strconv"
	"time"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// SubmitHeld accepts the job of a config's schedule for a time it names, as Submit does, but does not start it: the schedule's own
// workflow runs it as its child. A job nobody starts is started by the reconciler, like any other. A repeat for the same time
// gives the same job.
func (s *Jobs) SubmitHeld(ctx context.Context, owner job.Actor, c job.Config, name string, at time.Time) (Submitted, error) {
	made, err := s.Submit(ctx, owner, SubmitRequest{
		Config: strconv.FormatInt(c.ID, 10), IdempotencyKey: at.UTC().Format(time.RFC3339Nano), schedule: name, firedAt: at,
	})
	if err == nil && made.Job.Waiting() {
		if err := s.Lanes.EnsureLane(ctx, laneRef(made.Job)); err != nil { // the keeper of lanes does it again
			s.Log.WarnContext(ctx, "lane not started yet", "job", made.Job.ID, "lane", made.Job.Lane, "error", err)
		}
	}
	return made, err
}

// InputFor is what a stored job's workflow is started with.
func (s *Jobs) InputFor(ctx context.Context, j job.Job) (contract.JobInput, error) {
	d, err := s.Users.Destination(ctx, j.AccountID, j.Destination)
	return s.input(j, d.TaskQueue), err
}
