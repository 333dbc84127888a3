package control

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"waybill/internal/job"
)

// PlaceStore is what Places reads.
type PlaceStore interface {
	Destinations(ctx context.Context, account int64) ([]job.Destination, error)
	Workers(ctx context.Context, account int64) ([]job.Worker, error)
	// QueuedJobs counts the account's queued jobs by destination.
	QueuedJobs(ctx context.Context, account int64) (map[int64]int64, error)
	// DestinationNamed finds one by the names of its account and its own.
	DestinationNamed(ctx context.Context, account, name string) (job.Destination, error)
	// AnyDestination finds one of any account.
	AnyDestination(ctx context.Context, id int64) (job.Destination, error)
}

// Places knows where jobs run: an account's destinations and who serves them. What it knows is up to a short while old,
// because every job that is shown asks for it.
type Places struct {
	Store PlaceStore
	Now   Clock

	mu    sync.Mutex
	known map[int64]*PlacesView // by account
}

// placesAge is how old a view may be, and placesKept how many accounts are remembered.
const (
	placesAge  = 2 * time.Second
	placesKept = 1000
)

// PlacesView is what is known of one account at one time. A nil view knows nothing.
type PlacesView struct {
	at     time.Time
	names  map[int64]string
	online map[int64]int
	alive  map[string]bool // workers that give signs of life, by identity
}

// View gives what is known of the account.
func (p *Places) View(ctx context.Context, account int64) (*PlacesView, error) {
	now := p.Now()
	p.mu.Lock()
	v := p.known[account]
	p.mu.Unlock()
	if v != nil && now.Sub(v.at) < placesAge && !now.Before(v.at) {
		return v, nil
	}
	destinations, err := p.Store.Destinations(ctx, account)
	if err != nil {
		return nil, err
	}
	workers, err := p.Store.Workers(ctx, account)
	if err != nil {
		return nil, err
	}
	v = &PlacesView{at: now, names: map[int64]string{}, online: map[int64]int{}, alive: map[string]bool{}}
	for _, d := range destinations {
		v.names[d.ID] = d.Name
	}
	for _, w := range workers {
		status := w.StatusAt(now)
		if status == job.WorkerOnline {
			v.online[w.Destination]++
		}
		if status != job.WorkerOffline {
			v.alive[w.ID] = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= placesKept {
		p.known = map[int64]*PlacesView{}
	}
	p.known[account] = v
	return v, nil
}

// Forget makes the next View look again, after a change that the caller wants to see.
func (p *Places) Forget(account int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, account)
}

// Find finds the destination that a worker is told to serve: its name in the account "default", account/name, or its id.
func (p *Places) Find(ctx context.Context, ref string) (job.Destination, error) {
	account, name, given := strings.Cut(ref, "/")
	if !given {
		account, name = DefaultAccount, ref
	}
	d, err := p.Store.DestinationNamed(ctx, account, name)
	if job.CodeOf(err) != job.NotFound || given {
		return d, err
	}
	if id, bad := strconv.ParseInt(ref, 10, 64); bad == nil {
		return p.Store.AnyDestination(ctx, id)
	}
	return d, err
}

// Name is the name of a destination, "" for one that is gone.
func (v *PlacesView) Name(destination int64) string {
	if v == nil {
		return ""
	}
	return v.names[destination]
}

// Online counts the workers of a destination that take jobs.
func (v *PlacesView) Online(destination int64) int {
	if v == nil {
		return 0
	}
	return v.online[destination]
}

// workerPatience is how long a job waits for a worker before that is told.
const workerPatience = 30 * time.Second

// NoWorker tells whether nobody is there to run the job: it has been waiting for a while, or the worker that had it went
// away, and none of its destination takes jobs. A job that waits for its time or in its lane does not wait for a worker.
func (v *PlacesView) NoWorker(j job.Job, now time.Time) bool {
	if v == nil || v.online[j.Destination] > 0 {
		return false
	}
	switch j.Status {
	case job.Queued:
		since := j.ScheduledAt
		if j.StartAfter.After(since) {
			since = j.StartAfter
		}
		return j.Reason == job.ReasonNone && !j.Unreachable && now.Sub(since) > workerPatience
	case job.Running:
		return j.Worker != "" && !v.alive[j.Worker] && now.Sub(j.ReceivedAt) > workerPatience
	}
	return false
}
