package job

import "time"

// WorkerSilence is how old a worker's last sign of life may be before it is taken for offline. WorkerBeat is how often it
// gives one.
const (
	WorkerSilence = 15 * time.Second
	WorkerBeat    = 5 * time.Second
)

// Worker is a process that runs programs, as it describes itself at every sign of life.
type Worker struct {
	ID          string // its identity in the engine and on jobs; a new one for every process
	AccountID   int64  // whose admins may drain it
	TaskQueue   string // of the destination it serves
	Hostname    string
	PID         int
	Version     string
	Labels      map[string]string
	Runners     []string // kinds of programs it can run
	Sandbox     string
	Concurrency int // programs it runs at once, at most
	Running     int
	Status      WorkerStatus // as it was at BeatAt
	Note        string       // why it takes no jobs, when nobody asked it to: a Note of the list below
	Drain       bool         // somebody wants it to take no more jobs
	StartedAt   time.Time
	BeatAt      time.Time

	Destination int64 // read only: the destination of the account that looks, 0 for a worker of a queue that is not its own
}

// NoteDiskFull is the note of a worker that takes no jobs because its disk has no room for them.
const NoteDiskFull = "disk_full"

// WorkerStatus is how a worker stands.
type WorkerStatus string

// The statuses.
const (
	WorkerOnline   WorkerStatus = "online"   // takes jobs
	WorkerDraining WorkerStatus = "draining" // takes no more jobs, ends what it runs
	WorkerOffline  WorkerStatus = "offline"  // has ended, or gives no signs of life
)

// StatusAt is the worker's status as others see it. One that is asked to drain counts as draining before it has heard of it.
func (w Worker) StatusAt(now time.Time) WorkerStatus {
	switch {
	case w.Status == WorkerOffline || now.Sub(w.BeatAt) > WorkerSilence:
		return WorkerOffline
	case w.Drain:
		return WorkerDraining
	}
	return w.Status
}
