package activities

import (
	"context"
	"fmt"
	"time"

	"waybill/internal/job"
	"waybill/internal/webhook"
)

// DoorCall writes the body of a call about the end of a job as the clients of a door know it.
type DoorCall func(ctx context.Context, j job.Job) ([]byte, error)

// How calls of the Informatica door are made (informatica.md, 4): what its vendor documents, and the distances that its specification
// adds.
const (
	doorPatience = 30 * time.Second // for an answer
	doorAtOnce   = 3                // tries, the first included
	doorNow      = 10 * time.Millisecond
	doorFirst    = time.Minute
	doorMax      = time.Hour
)

// doorPause is the pause after the nth failure of a round: none for the first tries, then 1, 2, 4 and so on up to 60 minutes.
func doorPause(n int) time.Duration {
	if n < doorAtOnce {
		return doorNow
	}
	if n-doorAtOnce > 6 {
		return doorMax
	}
	return min(doorFirst<<(n-doorAtOnce), doorMax)
}

// doorOutcome judges an answer: everything but 200 failed, and is tried again.
func doorOutcome(a webhook.Answer) outcome {
	o := outcome{code: a.Code, reply: a.Reply}
	if a.Code != 200 {
		o.fault = fmt.Sprintf("HTTP %d", a.Code)
	}
	return o
}

func (d *Deliveries) doorBody(ctx context.Context, row job.Delivery, j job.Job) (string, error) {
	write, ok := d.cfg.Doors[row.Door]
	if !ok {
		return "", job.Errorf(job.Internal, job.WordInternal, "There are no calls in the form of door %s", row.Door)
	}
	text, err := write(ctx, j)
	return string(text), err
}
