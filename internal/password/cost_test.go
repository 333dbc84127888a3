package password

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
)

// cpu is the processor time of this process so far: on a loaded machine the clock on the wall says nothing.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Skipf("processor time is not told here: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLogin tells what one check costs with the parameters in use ("cpu-ms/op") and with others.
func BenchmarkLogin(b *testing.B) {
	for _, p := range []argon2id.Params{
		params,
		{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		{Memory: 46 * 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		{Memory: 64 * 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		{Memory: 64 * 1024, Iterations: 3, Parallelism: 1, SaltLength: 16, KeyLength: 32},
	} {
		b.Run(fmt.Sprintf("m=%dMiB,t=%d", p.Memory/1024, p.Iterations), func(b *testing.B) {
			hash, err := argon2id.CreateHash("example-password", &p)
			if err != nil {
				b.Fatal(err)
			}
			h := New()
			before := cpu(b)
			for b.Loop() {
				if good, err := h.Matches(b.Context(), "example-password", hash); err != nil || !good {
					b.Fatal(good, err)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
		})
	}
}
