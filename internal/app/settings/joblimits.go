package settings

import (
	"math"
	"strconv"
)

// JobLimits is what one job may have on this worker at most, and has where it says nothing. 0: no limit.
type JobLimits struct {
	Memory    int64 // bytes; -1: three quarters of the machine's
	CPUs      float64
	Processes int   // threads count
	OpenFiles int   // of one process
	Disk      int64 // bytes
	NoNetwork bool  // whatever the job asks for
}

var jobLimitSettings = []setting{
	{name: "job-memory", value: "auto", help: "memory that one job may use, in bytes; auto: three quarters of the machine's; 0: no limit"},
	{name: "job-cpus", value: "0", help: "processors that one job may use, such as 1.5; 0: no limit"},
	{name: "job-processes", value: "1024", help: "processes and threads that one job may have; 0: no limit"},
	{name: "job-open-files", value: "4096", help: "files that one process of a job may have open; 0: no limit"},
	{name: "job-disk", value: "10737418240", help: "disk space that one job may use, in bytes; 0: no limit"},
	{name: "job-network", value: "full", help: "full or none: whether jobs, and builds of their environments, reach the network, this machine's own services included"},
}

func (p *parser) jobLimits() JobLimits {
	l := JobLimits{
		Memory: -1, Processes: int(p.number("job-processes", 0, 1<<22)), OpenFiles: int(p.number("job-open-files", 0, 1<<30)),
		Disk: p.number("job-disk", 0, 1<<50),
	}
	if p.k.String("job-memory") != "auto" {
		l.Memory = p.number("job-memory", 0, 1<<50)
	}
	switch network := p.k.String("job-network"); network {
	case "full":
	case "none":
		l.NoNetwork = true
	default:
		p.fault("job-network", "is full or none, not %q", network)
	}
	var err error
	l.CPUs, err = strconv.ParseFloat(p.k.String("job-cpus"), 64)
	if err != nil || math.IsNaN(l.CPUs) || l.CPUs < 0 || l.CPUs > 10_000 {
		p.fault("job-cpus", "is a number between 0 and 10000, not %q", p.k.String("job-cpus"))
	}
	// Less than this, and no program starts: the interpreters of most need more.
	if l.Memory > 0 && l.Memory < 16<<20 {
		p.fault("job-memory", "is 0 or at least %d", 16<<20)
	}
	if l.OpenFiles > 0 && l.OpenFiles < 16 {
		p.fault("job-open-files", "is 0 or at least 16")
	}
	if l.Disk > 0 && l.Disk < 1<<20 {
		p.fault("job-disk", "is 0 or at least %d", 1<<20)
	}
	return l
}
