package job

import "time"

// Backlog counts the jobs of an installation that have not ended.
type Backlog struct {
	Queued, Waiting, Running, Cancelling int // Waiting: in a lane; they are not among those Queued

	Oldest        time.Time // when the oldest of those Queued was accepted; zero: there is none
	Lanes         int       // in which jobs wait
	Deepest       int       // jobs waiting in the lane in which most do
	WithoutWorker int       // of those Queued, whose destination has no worker online
}
