package api

import (
	"context"
	"time"

	"waybill/internal/job"
)

// knownFor is how long a caller counts as known: a call that is at work for longer by its client's doing asks again.
const knownFor = time.Second

// knownBy is who found out who calls, and when.
type knownBy struct {
	identify func() error // sets the Request's Actor
	at       time.Time
}

// KnownBy notes how a call's caller was found out, just now, so that it can be done again: rights are taken away while bodies come in, and
// how long they take is the client's choice.
func (r *Request) KnownBy(identify func() error) {
	r.known = knownBy{identify: identify, at: r.clock()}
}

func (r *Request) clock() time.Time {
	if r.now == nil { // served outside of the router
		return time.Now()
	}
	return r.now()
}

// StillKnown finds the caller out again, with the rights they have now, where that was more than a second ago. It is asked once what the
// client sends is there, before anything is done with it.
func StillKnown(ctx context.Context) error {
	r, _ := ctx.Value(requestKey{}).(*Request)
	if r == nil || r.known.identify == nil {
		return nil
	}
	if since := r.clock().Sub(r.known.at); since >= 0 && since <= knownFor {
		return nil
	}
	if err := r.known.identify(); err != nil {
		return err
	}
	r.known.at = r.clock()
	return nil
}

// StillActor is StillKnown with the actor: the form that uploads want.
func (r *Request) StillActor(ctx context.Context) func() (job.Actor, error) {
	return func() (job.Actor, error) {
		err := StillKnown(ctx)
		return r.Actor, err
	}
}
