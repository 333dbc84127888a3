package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"waybill/internal/job"
)

// disk watches the free space of the file system that a worker's folder lies on. A worker whose disk is full takes no jobs: they
// would fail there, or wait, while another worker has room.
type disk struct {
	dir  string
	min  uint64 // bytes
	free func(dir string) (uint64, error)
	log  *slog.Logger

	full atomic.Bool
	seen atomic.Uint64 // free bytes at the last look
}

func newDisk(dir string, min int64, log *slog.Logger) *disk {
	d := &disk{dir: dir, min: uint64(max(min, 0)), free: freeBytes, log: log}
	d.look(context.Background())
	return d
}

// freeBytes is what a process without privileges may still write.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// look finds out whether there is room, and tells whether that changed. There must be a tenth more than the least for jobs to
// be taken again, so that a worker does not change its mind with every file.
func (d *disk) look(ctx context.Context) (changed bool) {
	free, err := d.free(d.dir)
	if err != nil {
		d.log.WarnContext(ctx, "the free disk space can not be found out", "folder", d.dir, "error", err)
		return false
	}
	d.seen.Store(free)
	full := free < d.min || d.full.Load() && free < d.min+d.min/10
	if d.full.Swap(full) == full {
		return false
	}
	if full {
		d.log.ErrorContext(ctx, "the disk is full: the worker takes no jobs until there is room", "folder", d.dir, "free", free, "least", d.min)
	} else {
		d.log.InfoContext(ctx, "the disk has room again: the worker takes jobs", "folder", d.dir, "free", free)
	}
	return true
}

// note is what the registry of workers is told.
func (d *disk) note() string {
	if d.full.Load() {
		return job.NoteDiskFull
	}
	return ""
}

// lookEvery is the pause between two looks.
const lookEvery = 2 * time.Second

// watchDisk stops taking jobs when the disk is full, and begins again when it has room.
func (r *registration) watchDisk(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed := r.disk.look(ctx)
		if err := r.apply(); err != nil { // the next look tries again
			r.parts.log.ErrorContext(ctx, "the worker could not change over", "error", err)
		}
		if changed {
			r.tell()
		}
	}
}

// observeDisk shows the space. The names are part of the interface (docs/metrics.md).
func observeDisk(d *disk, registry prometheus.Registerer) {
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_worker_disk_free_bytes", Help: "Free space on the file system of this worker's folder.",
		}, func() float64 { return float64(d.seen.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_worker_disk_full", Help: "1 while this worker takes no jobs because its disk is full.",
		}, func() float64 {
			if d.full.Load() {
				return 1
			}
			return 0
		}),
	)
}
