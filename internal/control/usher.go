package control

import (
	"context"
	"log/slog"
	"time"

	"waybill/internal/job"
)

// AdmittedJobs finds jobs that a lane has let in.
type AdmittedJobs interface {
	// AdmittedIdle lists jobs, of all accounts, that waited in a lane, hold a place since, and that no worker has begun, if
	// they were last written before the time; oldest id first, after the id.
	AdmittedIdle(ctx context.Context, before time.Time, after job.ID, limit int) ([]job.ID, error)
}

// UsherEngine is the workflows of those jobs.
type UsherEngine interface {
	// Remind tells a job's workflow once more that the job holds a place, if it still waits for one; any other is left alone.
	Remind(ctx context.Context, id job.ID) (told bool, err error)
}

// Usher sees to it that jobs which hold a place know it. Their lane tells them, and tells them again until they know; but a
// lane that was terminated, or cancelled, between the admission and the word is not started again for a job that does not
// wait any more. A job whose workflow was reset to before its word is another such case.
type Usher struct {
	Jobs   AdmittedJobs
	Engine UsherEngine
	Now    Clock
	Log    *slog.Logger

	after job.ID
}

// Pace of the usher.
const (
	ushersEvery = 10 * time.Second
	usherGrace  = 10 * time.Second // how long the lane has for it
	usherAtOnce = 100
)

// Duty is the usher as a part of the reconciler's loop.
func (u *Usher) Duty() Duty {
	return Duty{Name: "telling of places in lanes", Every: ushersEvery, Engine: true, Do: u.usher}
}

func (u *Usher) usher(ctx context.Context, back bool) error {
	if back {
		u.after = ""
	}
	ids, err := u.Jobs.AdmittedIdle(ctx, u.Now().Add(-usherGrace), u.after, usherAtOnce)
	if err != nil {
		return err
	}
	for _, id := range ids {
		told, err := u.Engine.Remind(ctx, id)
		if outage(err) != nil {
			return err
		}
		switch {
		case err != nil: // of this job alone
			u.Log.WarnContext(ctx, "job not told of its place", "job", id, "error", err)
		case told:
			u.Log.InfoContext(ctx, "told a job of the place it holds in its lane", "job", id)
		}
		u.after = id
	}
	if len(ids) < usherAtOnce {
		u.after = ""
	}
	return nil
}
