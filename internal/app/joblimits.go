package app

import (
	"waybill/internal/app/settings"
	"waybill/internal/sandbox"
)

// jobLimits is what one job may have on this worker.
func jobLimits(l settings.JobLimits) sandbox.Limits {
	if l.Memory < 0 {
		l.Memory = sandbox.MachineMemory() / 4 * 3
	}
	return sandbox.Limits{
		Memory: l.Memory >> 20 << 20, CPUs: l.CPUs, Processes: l.Processes, OpenFiles: l.OpenFiles, FileSize: l.Disk, Disk: l.Disk,
	}
}
