package control

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// post is an outbox in memory and the engine that delivers from it. fail is what the engine answers for a delivery.
type post struct {
	now    time.Time
	rows   map[string]job.DeliveryStatus
	states map[string]EngineState // of workflows; none: open
	fail   map[string]error
	asked  []string
	began  []string
	ended  []string
}

func newPost() *post {
	return &post{
		now: time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC), rows: map[string]job.DeliveryStatus{}, states: map[string]EngineState{}, fail: map[string]error{},
	}
}

// put puts n deliveries into the outbox and names them.
func (p *post) put(name string, status job.DeliveryStatus, n int) (ids []string) {
	for i := range n {
		id := fmt.Sprintf("%s%04d", name, i)
		p.rows[id] = status
		ids = append(ids, id)
	}
	return ids
}

func (p *post) list(status job.DeliveryStatus, after string, limit int) (list []job.Delivery, _ error) {
	for _, id := range slices.Sorted(maps.Keys(p.rows)) {
		if p.rows[id] == status && id > after && len(list) < limit {
			list = append(list, job.Delivery{ID: id, Round: 1})
		}
	}
	return list, nil
}

func (p *post) PendingDeliveries(_ context.Context, after string, limit int) ([]job.Delivery, error) {
	return p.list(job.DeliveryPending, after, limit)
}

// UnderwayDeliveries has all of them written long ago: a receiver that is dead.
func (p *post) UnderwayDeliveries(_ context.Context, _ time.Time, after string, limit int) ([]job.Delivery, error) {
	return p.list(job.DeliveryDelivering, after, limit)
}

func (p *post) MarkDelivering(_ context.Context, id string, _ int, _ time.Time) error {
	p.rows[id] = job.DeliveryDelivering
	return nil
}

func (p *post) EndDelivery(_ context.Context, id string, _ int, _ string, _ time.Time) error {
	p.rows[id], p.ended = job.DeliveryFailed, append(p.ended, id)
	return nil
}

func (p *post) PurgeDeliveries(context.Context, time.Time) error { return nil }

func (p *post) StartDelivery(_ context.Context, in contract.DeliverInput) error {
	if err := p.fail[in.ID]; err != nil {
		return err
	}
	p.began, p.states[in.ID] = append(p.began, in.ID), EngineOpen
	return nil
}

func (p *post) DeliveryState(_ context.Context, id string, _ int) (EngineState, error) {
	p.asked = append(p.asked, id)
	return cmp.Or(p.states[id], EngineOpen), p.fail[id]
}

func (p *post) duty() Duty {
	d := &Deliverer{Outbox: p, Engine: p, Now: func() time.Time { return p.now }, Log: slog.New(slog.DiscardHandler)}
	return d.Duties()[0]
}

// run runs the duty and gives what the engine was asked for and what was started in it.
func (p *post) run(t *testing.T, d Duty, back bool) (asked, began []string) {
	t.Helper()
	p.asked, p.began = nil, nil
	p.now = p.now.Add(tick)
	if err := d.Do(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	return p.asked, p.began
}

func TestDeliveriesToADeadReceiverHoldNothingUp(t *testing.T) {
	t.Parallel()
	p := newPost()
	stuck := p.put("a", job.DeliveryDelivering, 3*deliveryBatch+1)
	p.states[stuck[0]], p.states[stuck[deliveryBatch]] = EngineTerminated, EngineAbsent
	fresh := p.put("b", job.DeliveryPending, 2)
	d := p.duty()
	asked, began := p.run(t, d, true)
	if !slices.Equal(began, fresh) || !slices.Equal(asked, stuck[:deliveryBatch]) {
		t.Errorf("after a start: started %v, looked at %d, want %v and %d", began, len(asked), fresh, deliveryBatch)
	}
	asked, began = p.run(t, d, false)
	if !slices.Equal(asked, stuck[deliveryBatch:2*deliveryBatch]) || !slices.Equal(began, stuck[deliveryBatch:deliveryBatch+1]) || !slices.Equal(p.ended, stuck[:1]) {
		t.Errorf("then: looked at %d, started %v, ended %v", len(asked), began, p.ended)
	}
	p.run(t, d, false)
	if asked, _ = p.run(t, d, false); !slices.Equal(asked, append(slices.Clone(stuck[3*deliveryBatch:]), fresh...)) {
		t.Errorf("the last look: %v", asked)
	}
	if asked, _ = p.run(t, d, false); len(asked) != 0 {
		t.Errorf("looked at %d again at once", len(asked))
	}
	p.now = p.now.Add(deliveryLook)
	if asked, _ = p.run(t, d, false); len(asked) != deliveryBatch {
		t.Errorf("the next look: %d, want %d", len(asked), deliveryBatch)
	}
	if asked, _ = p.run(t, d, true); len(asked) != deliveryBatch || asked[0] != stuck[1] {
		t.Errorf("when the engine is back: %d, want %d from the first", len(asked), deliveryBatch)
	}
}

func TestADeliveryThatCanNotBeStartedHoldsNoOtherUp(t *testing.T) {
	t.Parallel()
	p := newPost()
	bad := p.put("a", job.DeliveryPending, deliveryBatch)
	for _, id := range bad {
		p.fail[id] = job.Errorf(job.Internal, job.WordInternal, "too large")
	}
	stuck := p.put("b", job.DeliveryDelivering, 2)
	p.fail[stuck[0]] = job.Errorf(job.Internal, job.WordInternal, "odd")
	good := p.put("c", job.DeliveryPending, 1)
	d := p.duty()
	if asked, began := p.run(t, d, true); !slices.Equal(asked, stuck) || len(began) != 0 {
		t.Errorf("first: looked at %v, started %v", asked, began)
	}
	if _, began := p.run(t, d, false); !slices.Equal(began, good) {
		t.Errorf("second: started %v, want %v", began, good)
	}
	clear(p.fail)
	if _, began := p.run(t, d, false); !slices.Equal(began, bad) {
		t.Errorf("third: started %d, want the %d that failed before", len(began), len(bad))
	}
}

func TestTheDelivererStopsAtAnOutageAndGoesOnFromThere(t *testing.T) {
	t.Parallel()
	p := newPost()
	pending := p.put("a", job.DeliveryPending, 3)
	p.fail[pending[1]] = job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	d := p.duty()
	if err := d.Do(t.Context(), false); job.CodeOf(err) != job.Unavailable || !slices.Equal(p.began, pending[:1]) || len(p.asked) != 0 {
		t.Errorf("%v, started %v, looked at %v", err, p.began, p.asked)
	}
	clear(p.fail)
	if _, began := p.run(t, d, false); !slices.Equal(began, pending[1:]) {
		t.Errorf("started %v, want %v", began, pending[1:])
	}
}

// retries are jobs whose roll-up fails, and what is asked of the others.
type retries struct {
	Backlog
	Settlement
	jobs   []job.Job
	fail   map[job.ID]error
	rolled []job.ID
}

func (r *retries) NotRolledUp(_ context.Context, _ time.Time, after RollUpMark, limit int) (list []job.Job, _ error) {
	for _, j := range r.jobs {
		behind := j.FinishedAt.After(after.Ended) || j.FinishedAt.Equal(after.Ended) && j.ID > after.ID
		if behind && len(list) < limit {
			list = append(list, j)
		}
	}
	return list, nil
}

func (r *retries) RollUp(_ context.Context, _ int64, id job.ID, _ time.Time) error {
	if err := r.fail[id]; err != nil {
		return err
	}
	r.rolled = append(r.rolled, id)
	return nil
}

func TestRollUpsThatFailHoldNoOtherUp(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC)
	w := &retries{fail: map[job.ID]error{}}
	for i := range rollUpLimit + 1 {
		j := job.Job{ID: job.ID(fmt.Sprintf("%04d", i)), FinishedAt: at.Add(time.Duration(i/7) * time.Second)}
		w.jobs = append(w.jobs, j)
		if i < rollUpLimit {
			w.fail[j.ID] = job.Errorf(job.Internal, job.WordInternal, "odd")
		}
	}
	r := &Reconciler{Backlog: w, Settlement: w, Now: func() time.Time { return at }, Log: slog.New(slog.DiscardHandler)}
	mark := r.rollUps(t.Context(), at, RollUpMark{})
	if mark = r.rollUps(t.Context(), at, mark); !slices.Equal(w.rolled, []job.ID{w.jobs[rollUpLimit].ID}) || mark != (RollUpMark{}) {
		t.Fatalf("rolled up %v, goes on at %+v", w.rolled, mark)
	}
	w.rolled = nil
	clear(w.fail)
	w.fail[w.jobs[2].ID] = job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	if mark = r.rollUps(t.Context(), at, mark); len(w.rolled) != 2 || mark.ID != w.jobs[1].ID {
		t.Errorf("at an outage: rolled up %v, goes on behind %+v", w.rolled, mark)
	}
}

// untold are schedules that the engine has not been told of, and whose configs can not be read but for the last.
type untold struct {
	ScheduleBacklog
	ConfigReader
	n     int64
	asked []int64
}

func (u *untold) Unsynced(_ context.Context, after int64, limit int) (list []job.Schedule, _ error) {
	for id := after + 1; id <= u.n && len(list) < limit; id++ {
		list = append(list, job.Schedule{ConfigID: id})
	}
	return list, nil
}

func (u *untold) Config(_ context.Context, _, id int64) (job.Config, error) {
	u.asked = append(u.asked, id)
	return job.Config{}, job.Errorf(job.NotFound, job.WordNotFound, "gone")
}

func TestSchedulesThatTheEngineDoesNotTakeHoldNoOtherUp(t *testing.T) {
	t.Parallel()
	u := &untold{n: syncsAtOnce + 1}
	s := &Schedules{Configs: &Configs{Reader: u}, Backlog: u, Log: slog.New(slog.DiscardHandler)}
	for _, want := range []struct{ first, n int64 }{{1, syncsAtOnce}, {syncsAtOnce + 1, 1}, {1, syncsAtOnce}} {
		u.asked = nil
		if err := s.tellAll(t.Context(), false); err != nil || int64(len(u.asked)) != want.n || u.asked[0] != want.first {
			t.Fatalf("%v, looked at %v, want %d from %d", err, u.asked, want.n, want.first)
		}
	}
	if err := s.tellAll(t.Context(), true); err != nil || u.asked[len(u.asked)-1] != syncsAtOnce {
		t.Errorf("when the engine is back: %v, %v", err, u.asked)
	}
}
