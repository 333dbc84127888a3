package job

import (
	"strconv"
	"time"
)

// LaneOf names the lane of a config's jobs: that of the rendered key, which several configs of the account may share, or
// without a key the config's own.
func LaneOf(config int64, key string) string {
	if key != "" {
		return "key:" + key
	}
	return "config:" + strconv.FormatInt(config, 10)
}

// LaneState is a lane as it stands after its places were filled.
type LaneState struct {
	Places   int   // how many jobs may hold a place at once
	Active   int   // jobs that hold one
	Head     []ID  // the first that wait, in their order; at most LaneHead
	More     bool  // there are more than Head that wait
	Admitted []ID  // jobs that were waiting once, hold a place now, and that no worker has begun
	Changed  []Job // jobs that were admitted just now
}

// LaneHead is how many of the jobs that wait in a lane are listed with it.
const LaneHead = 100

// LaneRef names a lane.
type LaneRef struct {
	AccountID int64
	Lane      string
}

// Lane is what a reconciler sees of a lane in which jobs wait.
type Lane struct {
	LaneRef
	Free bool // it has a free place, so it should be moving
}

// QueueUntil is until when a worker must have taken the job first; zero: it may wait for ever.
func (j Job) QueueUntil() time.Time {
	if j.Spec.QueueTimeout <= 0 {
		return time.Time{}
	}
	return j.ScheduledAt.Add(j.Spec.QueueTimeout)
}
