package app

import (
	"context"
	"sync"
	"time"

	"waybill/api"
)

// pingWithin is how long a dependency has to answer. Whoever asks for readiness waits for little longer.
const pingWithin = 3 * time.Second

// dependency is something this process can not do without.
type dependency struct {
	name string
	ping func(ctx context.Context) error
}

// askAll asks all of them side by side, each with a time of its own: one that is silent says nothing of the others.
func askAll(ctx context.Context, within time.Duration, all ...dependency) []api.CheckResult {
	found := make([]api.CheckResult, len(all))
	var asked sync.WaitGroup
	for i, d := range all {
		asked.Go(func() {
			limited, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			found[i] = api.CheckResult{Name: d.name, Err: d.ping(limited)}
		})
	}
	asked.Wait()
	return found
}
