package control

import (
	"context"
	"time"
)

// rounds is how far a loop has come with its duties.
type rounds struct {
	duties []Duty
	next   []time.Time // when each is due again
	back   []bool      // the engine was away since the duty's last run
}

func newRounds(duties []Duty) *rounds {
	r := &rounds{duties: duties, next: make([]time.Time, len(duties)), back: make([]bool, len(duties))}
	for i := range r.back {
		r.back[i] = true
	}
	return r
}

// run does what is due. A duty that fails is told of through complain, and is due again after its pause; what it has
// missed it is told of the next time, too. each is called before every one.
func (r *rounds) run(ctx context.Context, now time.Time, engine bool, each func(), complain func(context.Context, string, error, ...any)) {
	for i, d := range r.duties {
		if ctx.Err() != nil {
			return
		}
		if d.Engine && !engine {
			r.back[i] = true
			continue
		}
		if now.Before(r.next[i]) && !(d.Engine && r.back[i]) {
			continue
		}
		each()
		r.next[i] = now.Add(d.Every)
		if err := d.Do(ctx, r.back[i]); err != nil {
			complain(ctx, d.Name+" not done", err)
			continue
		}
		r.back[i] = false
	}
}
