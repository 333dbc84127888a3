package control

import "waybill/internal/job"

// Limits of resources: below the least, no program starts; beyond the most is past any machine, so that a slip of the pen is
// seen.
const (
	leastMemory    = 16 // MiB
	leastOpenFiles = 16

	mostMemory    = 64 << 20 // MiB
	mostCPUs      = 4096
	mostProcesses = 4 << 20
	mostOpenFiles = 1 << 20
	mostDisk      = 1 << 30 // MiB
)

// CheckResources checks what a config or a start asks for. The worker caps it by what it allows.
func CheckResources(r job.Resources) error {
	within := func(n, least, most int) bool { return n == 0 || n >= least && n <= most }
	switch {
	case !within(r.MemoryMiB, leastMemory, mostMemory):
		return invalidField("resources.memoryMiB is between %d and %d", leastMemory, mostMemory)
	case !(r.CPUs >= 0 && r.CPUs <= mostCPUs): // no number is neither
		return invalidField("resources.cpus is a number above 0 and at most %d", mostCPUs)
	case !within(r.Processes, 1, mostProcesses):
		return invalidField("resources.processes is between 1 and %d", mostProcesses)
	case !within(r.OpenFiles, leastOpenFiles, mostOpenFiles):
		return invalidField("resources.openFiles is between %d and %d", leastOpenFiles, mostOpenFiles)
	case !within(r.DiskMiB, 1, mostDisk):
		return invalidField("resources.diskMiB is between 1 and %d", mostDisk)
	case r.Network != "" && r.Network != job.NetworkFull && r.Network != job.NetworkNone:
		return invalidField("resources.network is full or none")
	}
	return nil
}
