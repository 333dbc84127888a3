package app

import (
	"context"
	"net/http"
	"time"
)

// endsConnections asks clients, once the process drains, to take another connection for their next call: balancers then choose
// another process. Connections that are closed without such a word may have a call on the way to them.
func endsConnections(h http.Handler, draining context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// holdOn makes a stop begin with a time in which everything is served and only readiness tells of it.
func (p *parts) holdOn(drain context.CancelFunc, delay time.Duration) {
	p.onStop("balancers", delay+time.Second, func(ctx context.Context) error {
		drain()
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		return nil
	})
}

// endingCalls is how long calls that are being answered, such as uploads, get when the REST server ends.
func (p *parts) endingCalls() time.Duration { return max(15*time.Second, p.settings.DrainTimeout) }
