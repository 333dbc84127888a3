package runner

import (
	"io"
	"sync/atomic"
	"testing"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// BenchmarkNoOp is what a job costs here apart from its package: folder, sandbox, process, clean-up.
func BenchmarkNoOp(b *testing.B) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, sandbox.Off} {
		b.Run(string(mode), func(b *testing.B) {
			r := newRunner(b, func(c *Config) { c.Sandbox = mode })
			l := lease(b, r, "run.sh", []byte("exit 0\n"))
			for b.Loop() {
				e, err := r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: 1}, Package: l, Log: io.Discard})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := e.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNoOpParallel is the same with several at once, where processes of other runs come in between.
func BenchmarkNoOpParallel(b *testing.B) {
	r := newRunner(b, nil)
	l := lease(b, r, "run.sh", []byte("exit 0\n"))
	var number atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e, err := r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: int(number.Add(1))}, Package: l, Log: io.Discard})
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := e.Run(b.Context()); err != nil {
				b.Error(err)
			}
			if err := e.Close(); err != nil {
				b.Error(err)
			}
		}
	})
}
