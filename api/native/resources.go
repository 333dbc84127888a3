package native

import (
	"waybill/internal/control"
	"waybill/internal/job"
)

// resourcesRequest is resources of native.md, 4.
type resourcesRequest struct {
	MemoryMiB member[int64]   `json:"memoryMiB" doc:"Of all processes together; 16 or more"`
	CPUs      member[float64] `json:"cpus" doc:"Of all processes together, such as 1.5; in force on workers with a cgroup of their own"`
	Processes member[int64]   `json:"processes" doc:"Processes and threads at once"`
	OpenFiles member[int64]   `json:"openFiles" doc:"Of one process; 16 or more"`
	DiskMiB   member[int64]   `json:"diskMiB" doc:"In the job's folders"`
	Network   member[string]  `json:"network" doc:"full: the worker's; none: a loopback of its own and nothing else"`
}

// lay lays the members that were sent over to; null clears one, or all of them.
func (r resourcesRequest) lay(m member[resourcesRequest], to *job.Resources) error {
	if !m.Set {
		return nil
	}
	if m.Null {
		*to = job.Resources{}
		return nil
	}
	for _, one := range []struct {
		name string
		sent member[int64]
		to   *int
	}{
		{"resources.memoryMiB", r.MemoryMiB, &to.MemoryMiB}, {"resources.processes", r.Processes, &to.Processes},
		{"resources.openFiles", r.OpenFiles, &to.OpenFiles}, {"resources.diskMiB", r.DiskMiB, &to.DiskMiB},
	} {
		if !one.sent.Set {
			continue
		}
		n, err := wholeNumber(one.name, one.sent.Value)
		if err != nil {
			return err
		}
		if n == 0 && !one.sent.Null {
			return invalid("%s is 1 or more; null leaves it to the package and the worker", one.name)
		}
		*one.to = n
	}
	if r.CPUs.Set && !r.CPUs.Null && r.CPUs.Value <= 0 {
		return invalid("resources.cpus is more than 0; null leaves it to the package and the worker")
	}
	lay(r.CPUs, &to.CPUs)
	if r.Network.Set {
		to.Network = job.Network(r.Network.Value)
	}
	return control.CheckResources(*to)
}
