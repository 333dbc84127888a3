package runner

import (
	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// limitsOf turns resources into limits, within those of the worker.
func limitsOf(r job.Resources, worker sandbox.Limits) sandbox.Limits {
	const mib = 1 << 20
	l := sandbox.Limits{
		Memory: int64(r.MemoryMiB) * mib, CPUs: r.CPUs, Processes: r.Processes, OpenFiles: r.OpenFiles, Disk: int64(r.DiskMiB) * mib,
	}.Within(worker)
	l.FileSize = l.Disk // no file may be larger than all of them
	return l
}

// InForce tells in one line what holds every program of this worker back, the worker's limits included.
func (r *Runner) InForce() string {
	text := r.sandbox.String()
	if limits := r.sandbox.Held(r.cfg.JobLimits).String(); limits != "" {
		text += "; " + limits
	}
	if r.cfg.NoNetwork && r.sandbox.NetworkNone() == nil {
		text += ", network none"
	}
	return text
}

// Sandbox tells in one line what holds the program back, its limits included.
func (e *Execution) Sandbox() string {
	text := e.runner.sandbox.String()
	if limits := e.runner.sandbox.Held(e.limits).String(); limits != "" {
		text += "; " + limits
	}
	if e.resources.Network == job.NetworkNone && e.runner.sandbox.NetworkNone() == nil {
		text += ", network none"
	}
	return text
}

// limitWarnings tells what was asked for and is not in force on this worker.
func (e *Execution) limitWarnings() (warnings []string) {
	if err := e.runner.sandbox.NetworkNone(); e.resources.Network == job.NetworkNone && err != nil {
		warnings = append(warnings, "network none is not in force: "+err.Error())
	}
	if e.limits.CPUs > 0 && e.runner.sandbox.Held(e.limits).CPUs == 0 {
		warnings = append(warnings, "the limit on processors is not in force: this worker has no cgroup of its own")
	}
	return warnings
}
