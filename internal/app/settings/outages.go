package settings

import "time"

// Outages is what a worker does while something it needs is away, or has no room.
type Outages struct {
	ObjectPatience time.Duration // for the object store, before what a job left is given up
	LogSpool       int64         // bytes of one job's log that wait on disk meanwhile
	SweepGrace     time.Duration // before objects that no row knows are deleted; 0: never
	MinFreeDisk    int64         // bytes; with less, no jobs are taken. 0: taken whatever there is
}

var runsPrograms = []Role{Up, WorkerOnly}

var outageSettings = []setting{
	{name: "object-store-patience", only: runsPrograms, value: "10m", help: "how long the end of a log, output files and packages wait for an object store that is away"},
	{name: "job-log-spool", only: runsPrograms, value: "67108864", help: "disk space for the log of one job while the object store is away, in bytes; beyond it the program waits"},
	{name: "object-sweep-grace", value: "168h", help: "how long objects that the database does not know of are kept before they are deleted; 0s: for ever"},
	{name: "min-free-disk", only: runsPrograms, value: "268435456", help: "free disk space below which the worker takes no jobs, in bytes; 0: it always does"},
}

func (p *parser) outages() Outages {
	return Outages{
		// An attempt has an hour besides its program.
		ObjectPatience: p.duration("object-store-patience", time.Second, 30*time.Minute), LogSpool: p.number("job-log-spool", 0, 1<<40),
		SweepGrace: p.duration("object-sweep-grace", 0, 10*366*24*time.Hour), MinFreeDisk: p.number("min-free-disk", 0, 1<<50),
	}
}
