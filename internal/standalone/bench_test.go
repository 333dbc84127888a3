package standalone

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// BenchmarkWorkflow measures a bare workflow with one no-op activity, from start to result: what the engine costs a job.
// One iteration is one workflow. docs/adr/0002-embedded-engine.md records the ratios.
func BenchmarkWorkflow(b *testing.B) {
	for _, tuning := range []struct {
		name     string
		defaults bool
	}{{"tuned", false}, {"defaults", true}} {
		for _, clients := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/clients=%d", tuning.name, clients), func(b *testing.B) {
				cfg := freePorts(b.TempDir())
				cfg.ServerDefaults = tuning.defaults
				benchmarkWorkflow(b, cfg, clients)
			})
		}
	}
}

func oneActivity(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.ExecuteActivity(ctx, noop).Get(ctx, nil)
}

func noop(context.Context) error { return nil }

func benchmarkWorkflow(b *testing.B, cfg Config, clients int) {
	e, err := Start(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Stop(context.Background()) }()
	c, err := client.Dial(holding(e))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	w := worker.New(c, "bench", worker.Options{})
	w.RegisterWorkflow(oneActivity)
	w.RegisterActivity(noop)
	if err := w.Start(); err != nil {
		b.Fatal(err)
	}
	defer w.Stop()

	run := func(id string) time.Duration {
		began := time.Now()
		run, err := c.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{
			ID: id, TaskQueue: "bench", EnableEagerStart: !cfg.ServerDefaults,
		}, oneActivity)
		if err == nil {
			err = run.Get(b.Context(), nil)
		}
		if err != nil {
			b.Error(err)
		}
		return time.Since(began)
	}
	for i := range 20 { // caches, connections, the task queue
		run(fmt.Sprintf("warm-%d", i))
	}

	times := make([]time.Duration, b.N)
	next := make(chan int)
	var group sync.WaitGroup
	b.ResetTimer()
	before := cpu(b)
	for range clients {
		group.Go(func() {
			for i := range next {
				times[i] = run(fmt.Sprintf("run-%d", i))
			}
		})
	}
	for i := range times {
		next <- i
	}
	close(next)
	group.Wait()
	b.StopTimer()
	used := cpu(b) - before

	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "workflows/s")
	b.ReportMetric(used.Seconds()/float64(b.N)*1000, "cpu-s/1000")
}

func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
