package app

import (
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

// processStart is when the operating system started this process, so that the start-up time that is shown is what a
// person waits. Where the system does not tell, it is now.
func processStart() time.Time {
	self, err := procfs.NewProc(os.Getpid())
	if err != nil {
		return time.Now()
	}
	stat, err := self.Stat()
	if err != nil {
		return time.Now()
	}
	seconds, err := stat.StartTime()
	if err != nil {
		return time.Now()
	}
	return time.UnixMilli(int64(seconds * 1000))
}

// newRegistry makes an empty registry: parts put their metrics on it.
func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }
