package limit

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Charge is what a process puts into a bucket that it shares with others.
type Charge struct {
	Rule   Rule
	Caller string
	Owed   int // calls that were let through already
	Now    time.Time
}

// Shared keeps the buckets that processes share.
type Shared interface {
	// ChargeCalls puts what is owed into the caller's bucket, as far as it holds it, and then one call more if that fits. It
	// tells whether it did, and how full the bucket is.
	ChargeCalls(ctx context.Context, c Charge) (fits bool, now Level, err error)
}

// Limiter counts the calls that one process is asked to make.
type Limiter struct {
	shared  Shared
	log     *slog.Logger
	now     func() time.Time
	buckets *lru.Cache[name, *bucket]
	away    atomic.Int64 // until when the shared buckets are not asked, in nanoseconds since 1970
}

type name struct{ rule, caller string }

// Bounds of a Limiter.
const (
	// maxCallers is how many callers a process remembers: about 10 MB. One that is forgotten, because that many others came since,
	// begins anew here; what it used of the shared bucket stays.
	maxCallers = 40_000
	// chargeWithin bounds how long a call waits for the shared bucket.
	chargeWithin = 300 * time.Millisecond
	// awayFor is how long the shared buckets are let be when they did not answer.
	awayFor = 5 * time.Second
)

// New makes a Limiter. shared is nil where one process alone serves the callers; log may be nil.
func New(shared Shared, log *slog.Logger, now func() time.Time) *Limiter {
	buckets, err := lru.New[name, *bucket](maxCallers)
	if err != nil { // only a size that is not positive
		panic(err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Limiter{shared: shared, log: log, now: now, buckets: buckets}
}

// Quota is what a caller has left.
type Quota struct {
	Limit     int           // calls that a bucket holds; 0: there is no limit
	Remaining int           // calls that fit in right now
	Reset     time.Duration // until all of them fit in again
	Wait      time.Duration // until one more fits in; more than 0: this one does not
}

// Refused tells whether the call must not be made.
func (q Quota) Refused() bool { return q.Wait > 0 }

// bucket is what one caller did here.
type bucket struct {
	mu     sync.Mutex // also held while the shared bucket is asked: the calls of one caller wait for one another
	local  Level      // of all calls made here: what holds when nobody else can be asked
	owed   Level      // of those that the shared bucket does not know of
	credit float64    // how much may be owed
	shared Level      // the shared bucket as it was told last
	asked  time.Time  // when that was
	full   time.Time  // until when it is known to be full
}

// Take counts a call. A call that is refused is not counted.
func (l *Limiter) Take(ctx context.Context, r Rule, caller string) Quota {
	if !r.On() {
		return Quota{}
	}
	b := l.bucket(r, caller)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := l.now()
	b.local = r.At(b.local, now)
	if wait := r.Wait(b.local, now); wait > 0 { // with nobody asked: to go on knocking costs the others nothing
		return b.quota(r, now, wait)
	}
	if !l.sharing(now) {
		return b.let(r, now)
	}
	if wait := b.full.Sub(now); wait > 0 {
		return b.quota(r, now, wait)
	}
	if own := r.credit(); now.Sub(b.asked) >= r.Every { // far from the limit: what is owed is let go of in time
		b.owed, b.credit = own.At(b.owed, now), float64(own.Calls)
	}
	if b.owed.Calls+1 <= b.credit {
		b.owed.Calls++
		return b.let(r, now)
	}
	return l.ask(ctx, b, r, caller, now)
}

// Look tells what a caller has left, as far as this process knows, and counts nothing.
func (l *Limiter) Look(r Rule, caller string) Quota {
	if !r.On() {
		return Quota{}
	}
	b, known := l.buckets.Peek(name{r.Name, caller})
	if !known {
		return Quota{Limit: r.Calls, Remaining: r.Calls}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := l.now()
	wait := r.Wait(b.local, now)
	if l.sharing(now) {
		wait = max(wait, b.full.Sub(now))
	}
	return b.quota(r, now, wait)
}

func (l *Limiter) bucket(r Rule, caller string) *bucket {
	at := name{r.Name, caller}
	if b, known := l.buckets.Get(at); known {
		return b
	}
	b := &bucket{}
	if was, known, _ := l.buckets.PeekOrAdd(at, b); known {
		return was
	}
	return b
}

// sharing tells whether others are asked.
func (l *Limiter) sharing(now time.Time) bool {
	return l.shared != nil && now.UnixNano() >= l.away.Load()
}

// ask tells the shared bucket what is owed, and lets it decide. Without an answer the call is let through, for a limit is there
// to keep the service up, and not to be the next thing that is down.
func (l *Limiter) ask(ctx context.Context, b *bucket, r Rule, caller string, now time.Time) Quota {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), chargeWithin)
	defer cancel()
	fits, level, err := l.shared.ChargeCalls(ctx, Charge{Rule: r, Caller: caller, Owed: int(math.Ceil(b.owed.Calls)), Now: now})
	if err != nil {
		l.away.Store(now.Add(awayFor).UnixNano())
		b.owed, b.credit = Level{At: now}, 0 // they may have been charged all the same, and must not be again
		l.log.WarnContext(ctx, "calls are counted by each process for itself: the shared count can not be reached", "limit", r.Name, "error", err)
		return b.let(r, now)
	}
	b.asked, b.shared, b.owed = now, level, Level{At: now}
	if !fits {
		wait := max(r.Wait(level, now), time.Millisecond)
		b.credit, b.full = 0, now.Add(wait)
		return b.quota(r, now, wait)
	}
	// The fuller the bucket, the less is left unsaid; of the last few calls each is asked for.
	b.credit = math.Floor(min(float64(r.credit().Calls), (float64(r.Calls)-level.Calls)/4))
	return b.let(r, now)
}

// let lets a call through.
func (b *bucket) let(r Rule, now time.Time) Quota {
	b.local.Calls++
	return b.quota(r, now, 0)
}

// quota is what is left, by whichever bucket is fuller.
func (b *bucket) quota(r Rule, now time.Time, wait time.Duration) Quota {
	fullest := r.At(b.local, now)
	if shared := r.At(b.shared, now); !b.shared.At.IsZero() {
		if shared.Calls += b.owed.Calls; shared.Calls > fullest.Calls {
			fullest = shared
		}
	}
	q := Quota{Limit: r.Calls, Wait: wait}
	if fullest.Calls > 0 {
		q.Reset = max(0, r.Empty(fullest).Sub(now))
	}
	if wait == 0 {
		q.Remaining = max(0, int(math.Floor(float64(r.Calls)-fullest.Calls+1e-6)))
	}
	return q
}
