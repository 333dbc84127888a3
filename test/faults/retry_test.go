package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// finished finds a job that has ended and is worth a retry.
func (d *driver) finished(ctx context.Context) (promise, bool) {
	for _, id := range d.some(d.random, 6) {
		a := d.call(ctx, http.MethodGet, "/api/jobs/"+id, nil)
		if d.checkGet(id, a) && d.seen(a) && (a.text("status") != "FINISHED" || d.get(id).kind.retry != "" || d.random.IntN(8) == 0) {
			return d.get(id), true
		}
	}
	return promise{}, false
}

func (d *driver) retryOne(ctx context.Context) {
	if p, ok := d.finished(ctx); ok {
		d.retry(ctx, p, p.kind.again(d.random), d.key())
	}
}

// retry asks for one and tells how it was answered.
func (d *driver) retry(ctx context.Context, p promise, body object, key []string) answer {
	sent := time.Now()
	a := d.once(ctx, "/api/jobs/"+p.id+"/retry", body, key)
	switch code := a.text("code"); {
	case a.status == http.StatusAccepted && a.text("retryOf") == p.id:
		d.accept(promise{id: a.text("id"), kind: p.kind, parent: p.id, forced: body["force"] == true, sent: sent})
		d.count("retries accepted")
	case a.status == http.StatusConflict && (code == "retry_active" || code == "nothing_to_retry" || code == "concurrency_limit"):
		d.count("retries refused: " + code)
	case a.status == http.StatusOK && p.kind.onLimit == "skip":
	case a.away():
	default:
		d.wrong("the retry of job %s with %v answers %s", p.id, body, a)
	}
	return a
}

// retryTwice asks for two retries of one job at once; one of three times the second is forced.
func (d *driver) retryTwice(ctx context.Context) {
	p, ok := d.finished(ctx)
	if !ok {
		return
	}
	first, second := p.kind.again(d.random), p.kind.again(d.random)
	keys := [][]string{d.key(), d.key()}
	if d.random.IntN(3) == 0 {
		second["force"] = true
	}
	// once draws from the driver's generator, so the second has one of its own.
	other := *d
	other.random = rand.New(rand.NewPCG(d.random.Uint64(), 1))
	var both sync.WaitGroup
	both.Go(func() { d.retry(ctx, p, first, keys[0]) })
	both.Go(func() { other.retry(ctx, p, second, keys[1]) })
	both.Wait()
	d.count("pairs of retries")
}

// retryMany asks for retries of several jobs, or of all that a filter finds, and asks again under the same key.
func (d *driver) retryMany(ctx context.Context) {
	body := object{"recordIds": d.some(d.random, 6)}
	if d.random.IntN(2) == 0 {
		body = object{"jobconfigid": d.kinds[d.random.IntN(len(d.kinds))].id, "state": "finished_error"}
	} else if len(body["recordIds"].([]string)) == 0 {
		return // no job was accepted yet, and a bulk retry of nothing is refused
	}
	d.calls++
	key := []string{"Idempotency-Key", fmt.Sprintf("%s-%d", d.name, d.calls)}
	sent := time.Now()
	a := d.once(ctx, "/api/jobs/retry", body, key)
	first, ok := d.retried(body, a)
	if !ok {
		return
	}
	for _, r := range first {
		if d.knows(r.RetryOf) {
			d.accept(promise{id: r.ID, kind: d.get(r.RetryOf).kind, parent: r.RetryOf, sent: sent})
		}
	}
	d.count("bulk retries")
	if d.random.IntN(2) == 0 {
		return
	}
	if second, ok := d.retried(body, d.once(ctx, "/api/jobs/retry", body, key)); ok {
		for _, r := range first {
			if !slices.Contains(second, r) {
				d.wrong("the bulk retry with %v made %v, and under the same key again answers %v", body, first, second)
				return
			}
		}
	}
}

type retried struct{ ID, RetryOf string }

// retried reads the answer to a bulk retry.
func (d *driver) retried(body object, a answer) ([]retried, bool) {
	var summary struct{ Retries []retried }
	if a.away() {
		return nil, false
	}
	if a.status != http.StatusAccepted || json.Unmarshal(a.body, &summary) != nil {
		d.wrong("the bulk retry with %v answers %s", body, a)
		return nil, false
	}
	return summary.Retries, true
}
