package sandbox

import (
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"
)

// BenchmarkNoOp runs a program that does nothing, in each way it can be held back, and bare.
func BenchmarkNoOp(b *testing.B) {
	for _, mode := range []Mode{Off, landlockOnly, Auto} {
		b.Run(string(mode), func(b *testing.B) { benchmark(b, mode, Program{}) })
	}
	b.Run("auto without network", func(b *testing.B) { benchmark(b, Auto, Program{NoNetwork: true}) })
}

func benchmark(b *testing.B, mode Mode, c Program) {
	s, err := New(b.Context(), Config{Mode: mode, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	dir := b.TempDir()
	c.Path, c.Argv, c.Dir, c.Output, c.Write = "/bin/sh", []string{"sh", "-c", "exit 0"}, dir, out, []string{dir}
	var times []time.Duration
	for b.Loop() {
		began := time.Now()
		p, err := s.Start(c)
		if err != nil {
			b.Fatal(err)
		}
		if e, err := p.Wait(b.Context(), 0); err != nil || e.ExitCode != 0 {
			b.Fatal(e, err)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
}
