package limit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// clock is a time that a test sets.
type clock struct{ at time.Time }

func newClock() *clock                { return &clock{time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

// common is a shared count in memory.
type common struct {
	mu      sync.Mutex
	levels  map[string]Level
	charges int
	fail    error // instead of a charge
	lost    error // after it
}

func newCommon() *common { return &common{levels: map[string]Level{}} }

func (s *common) ChargeCalls(ctx context.Context, c Charge) (bool, Level, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.charges++
	if s.fail != nil {
		return false, Level{}, s.fail
	}
	if _, bounded := ctx.Deadline(); !bounded {
		return false, Level{}, errors.New("a charge may take for ever")
	}
	at := c.Rule.Name + " " + c.Caller
	l := c.Rule.At(s.levels[at], c.Now)
	l.Calls = min(float64(c.Rule.Calls), l.Calls+float64(c.Owed))
	fits := c.Rule.fits(l)
	if fits {
		l.Calls++
	}
	s.levels[at] = l
	return fits, l, s.lost
}

var (
	leaking = Leaking("door", 100, 30)
	window  = Windows("door", 100, time.Minute)
)

func TestABucketLeaks(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := New(nil, nil, c.now)
	for i := range 100 {
		q := l.Take(t.Context(), leaking, "a")
		if q.Refused() || q.Remaining != 99-i || q.Limit != 100 {
			t.Fatalf("call %d: %+v", i, q)
		}
	}
	q := l.Take(t.Context(), leaking, "a")
	if q.Wait < 33*time.Millisecond || q.Wait > 34*time.Millisecond || q.Remaining != 0 || q.Reset.Round(time.Millisecond) != 3333*time.Millisecond {
		t.Errorf("the 101st: %+v", q)
	}
	if l.Take(t.Context(), leaking, "b").Refused() {
		t.Error("another caller is refused")
	}
	if l.Look(leaking, "a").Wait != q.Wait || l.Look(leaking, "nobody").Remaining != 100 {
		t.Error("looking counts, or looks elsewhere")
	}
	c.pass(q.Wait)
	if q := l.Take(t.Context(), leaking, "a"); q.Refused() {
		t.Errorf("after the wait: %+v", q)
	}
	if q := l.Take(t.Context(), leaking, "a"); !q.Refused() {
		t.Errorf("a second one after the wait: %+v", q)
	}
	c.pass(time.Hour)
	if q := l.Look(leaking, "a"); q.Remaining != 100 || q.Reset != 0 {
		t.Errorf("after an hour: %+v", q)
	}
}

func TestAWindowIsEmptiedAtOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := New(nil, nil, c.now)
	for i := range 100 {
		if q := l.Take(t.Context(), window, "a"); q.Refused() || q.Reset != time.Minute-time.Duration(i)*500*time.Millisecond {
			t.Fatalf("call %d: %+v", i, q)
		}
		c.pass(500 * time.Millisecond)
	}
	if q := l.Take(t.Context(), window, "a"); q.Wait != 10*time.Second || q.Reset != q.Wait {
		t.Errorf("the 101st after 50 s: %+v", q)
	}
	c.pass(10 * time.Second)
	if q := l.Take(t.Context(), window, "a"); q.Refused() || q.Remaining != 99 || q.Reset != time.Minute {
		t.Errorf("in the next window: %+v", q)
	}
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	l := New(newCommon(), nil, time.Now)
	for _, r := range []Rule{{}, Leaking("a", 0, 1), Leaking("a", 1, 0), Windows("a", 0, time.Minute), Windows("a", -5, time.Minute)} {
		for range 10 {
			if q := l.Take(t.Context(), r, "a"); q != (Quota{}) || l.Look(r, "a") != (Quota{}) {
				t.Errorf("%+v gives %+v", r, q)
			}
		}
	}
}

// Far from the limit nobody else is asked, however long that goes on.
func TestACallerFarFromTheLimitCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newCommon()
	l := New(s, nil, c.now)
	for range 10_000 {
		if l.Take(t.Context(), leaking, "a").Refused() {
			t.Fatal("refused")
		}
		c.pass(334 * time.Millisecond) // a tenth of what it may
	}
	if s.charges != 0 {
		t.Errorf("the shared count was asked %d times", s.charges)
	}
	for range 10_000 { // as fast as it may
		if l.Take(t.Context(), leaking, "a").Refused() {
			t.Fatal("refused")
		}
		c.pass(34 * time.Millisecond)
	}
	if s.charges > 1_000 {
		t.Errorf("the shared count was asked %d times for 10,000 calls", s.charges)
	}
	before := s.charges
	for range 10_000 { // and as fast as it can
		l.Take(t.Context(), leaking, "a")
	}
	if s.charges > before+30 {
		t.Errorf("the shared count was asked %d times by a caller who is over its limit", s.charges-before)
	}
}

// Whoever calls several processes must not get more than one limit, and a tenth for each process beyond the first.
func TestProcessesTogetherKeepTheLimit(t *testing.T) {
	t.Parallel()
	for _, rule := range []Rule{leaking, window, Windows("door", 600, time.Minute), Leaking("login", 20, 1.0/3), Leaking("small", 5, 1)} {
		for _, processes := range []int{1, 2, 5} {
			for _, pace := range []time.Duration{time.Millisecond, 9 * time.Millisecond, 200 * time.Millisecond} {
				seed := uint64(processes)<<32 | uint64(pace)
				random := rand.New(rand.NewPCG(seed, 1))
				c, s := newClock(), newCommon()
				var all []*Limiter
				for range processes {
					all = append(all, New(s, nil, c.now))
				}
				let, made, start := 0.0, 0.0, c.at
				for c.at.Sub(start) < 3*rule.Every {
					if !all[random.IntN(processes)].Take(t.Context(), rule, "a").Refused() {
						let++
					}
					made++
					c.pass(time.Duration(random.Int64N(int64(2 * pace))))
				}
				may := 4 * float64(rule.Calls) // a full bucket, and what leaked in the time, or four windows
				if extra := may * float64(processes-1) / creditPart; let > may+extra+1 {
					t.Errorf("%s, %d processes, pace %v: %v calls, want at most %v + %v", rule.Name, processes, pace, let, may, extra)
				}
				least := min(may-float64(rule.Calls), made) * 0.9
				if let < least {
					t.Errorf("%s, %d processes, pace %v: %v calls, want at least %v", rule.Name, processes, pace, let, least)
				}
			}
		}
	}
}

// The last calls of a bucket are asked for one by one: two processes that are called in turn let a hundred through, or a few more.
func TestTheEndOfABucketIsKeptExactly(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newCommon()
	a, b := New(s, nil, c.now), New(s, nil, c.now)
	let := 0
	for range 200 {
		for _, l := range []*Limiter{a, b} {
			if !l.Take(t.Context(), window, "a").Refused() {
				let++
			}
		}
	}
	if let < 100 || let > 103 {
		t.Errorf("%d calls were let through, want 100", let)
	}
	if q := a.Look(window, "a"); !q.Refused() || q.Remaining != 0 || q.Wait > time.Minute {
		t.Errorf("then: %+v", q)
	}
}

func TestEachProcessCountsForItselfWhileNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newCommon()
	s.fail = errors.New("the database is away")
	l := New(s, nil, c.now)
	let := 0
	for range 200 {
		if !l.Take(t.Context(), leaking, "a").Refused() {
			let++
		}
	}
	if let != 100 || s.charges != 1 {
		t.Errorf("%d calls were let through after %d questions, want 100 after 1", let, s.charges)
	}
	s.fail = nil
	c.pass(awayFor)
	for range 20 {
		l.Take(t.Context(), leaking, "a")
	}
	if s.charges < 2 {
		t.Error("when it is back it is not asked")
	}
}

// A charge whose answer is lost has been made: what was owed is not charged again.
func TestAChargeWithoutAnAnswerIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newCommon()
	l := New(s, nil, c.now)
	made := 0
	take := func(until int) {
		for ; s.charges < until && made < 100; made++ {
			l.Take(t.Context(), window, "a")
		}
	}
	take(1)
	s.lost = errors.New("the answer is lost")
	take(2)
	s.lost = nil
	c.pass(awayFor)
	take(3)
	if s.charges != 3 || s.levels["door a"].Calls > float64(made) {
		t.Errorf("%v calls are charged in %d charges, %d were made", s.levels["door a"].Calls, s.charges, made)
	}
}

func TestCallersThatManyOthersCameAfterAreForgotten(t *testing.T) {
	t.Parallel()
	l := New(nil, nil, newClock().now)
	for i := range maxCallers + 10 {
		l.Take(t.Context(), leaking, fmt.Sprint(i))
	}
	if n := l.buckets.Len(); n != maxCallers {
		t.Errorf("%d are remembered", n)
	}
	if l.Look(leaking, "0").Remaining != 100 || l.Look(leaking, "10").Remaining != 99 {
		t.Error("others than the oldest are forgotten")
	}
}

func TestCallsAtTheSameTime(t *testing.T) {
	t.Parallel()
	c, s := newClock(), newCommon()
	l := New(s, nil, c.now)
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		let int
	)
	for range 8 {
		all.Go(func() {
			for range 50 {
				if q := l.Take(t.Context(), leaking, "a"); !q.Refused() {
					mu.Lock()
					let++
					mu.Unlock()
				}
				l.Look(leaking, "a")
			}
		})
	}
	if all.Wait(); let != 100 {
		t.Errorf("%d calls were let through", let)
	}
}

// What a call costs: without a limit, far from one, over one, and when each call goes to the shared count (in memory).
func BenchmarkTake(b *testing.B) {
	bench := func(rule Rule, callers int) func(*testing.B) {
		return func(b *testing.B) {
			l := New(newCommon(), nil, time.Now)
			names := make([]string, callers)
			for i := range names {
				names[i] = fmt.Sprint("login:", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l.Take(b.Context(), rule, names[i%callers])
			}
		}
	}
	b.Run("no-limit", bench(Rule{}, 1))
	b.Run("far-from-it", bench(Leaking("door", 1_000_000_000, 1_000_000_000), 1000))
	b.Run("over-it", bench(Leaking("door", 10, 0.001), 1000))
	b.Run("asked-each-time", bench(Leaking("door", 9, 1e8), 1000))
}
