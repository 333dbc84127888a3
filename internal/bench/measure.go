package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Figures is what one phase measured.
type Figures struct {
	Name        string
	N           int
	Concurrency int
	PerSecond   float64       // units of work per second of wall time, until the last workflow has closed
	P50         time.Duration // latency of one unit, begin to end as its caller sees it
	P95         time.Duration
	P99         time.Duration
	CPU         time.Duration // user and system time per 1,000 units: this process and the job processes it waited for
	PeakRSS     int64         // bytes: the largest resident set of this process seen during the phase
}

// measure runs unit n times, concurrency at once, and stops at the first error. Then it waits with settled until the engine
// has done what the units left to it: a job is final for its caller before its workflow has closed, and that work counts.
func measure(ctx context.Context, name string, n, concurrency int, unit, settled func(ctx context.Context) error) (Figures, error) {
	latencies := make([]time.Duration, n)
	var next atomic.Int64
	cpu := cpuTime()
	peak := watchRSS()
	start := time.Now()
	group, gctx := errgroup.WithContext(ctx)
	for range concurrency {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				begin := time.Now()
				if err := unit(gctx); err != nil {
					return err
				}
				latencies[i] = time.Since(begin)
			}
		})
	}
	err := group.Wait()
	if err == nil {
		err = settled(ctx)
	}
	wall := time.Since(start)
	f := Figures{Name: name, N: n, Concurrency: concurrency, PeakRSS: peak()}
	if err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	slices.Sort(latencies)
	at := func(q float64) time.Duration { return latencies[min(n-1, int(q*float64(n)))] }
	f.PerSecond = float64(n) / wall.Seconds()
	f.P50, f.P95, f.P99 = at(0.50), at(0.95), at(0.99)
	f.CPU = (cpuTime() - cpu) * 1000 / time.Duration(n)
	return f, nil
}

// cpuTime is the CPU time of this process and of the children it has waited for.
func cpuTime() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}

// watchRSS looks at the resident set ten times a second until the returned function is called, which gives the largest
// value seen; 0 where the system does not tell (only Linux does).
func watchRSS() func() int64 {
	var peak int64
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			peak = max(peak, residentSet())
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	})
	return func() int64 {
		close(stop)
		done.Wait()
		return peak
	}
}

func residentSet() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
