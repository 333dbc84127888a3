package activities

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// lanes plays the store of lanes and the workflows around it.
type lanes struct {
	control.LaneStore
	state   job.LaneState
	moves   bool
	err     error
	asked   job.LaneRef
	absent  job.ID // its workflow has not started
	down    bool
	calls   []string
	expired struct {
		fence   int64
		untaken bool
		o       job.Outcome
	}
	job job.Job
}

func (l *lanes) AdvanceLane(_ context.Context, r job.LaneRef, _ time.Time) (job.LaneState, error) {
	l.asked = r
	return l.state, l.err
}

func (l *lanes) LaneMoves(_ context.Context, r job.LaneRef) (bool, error) {
	l.asked = r
	return l.moves, l.err
}

func (l *lanes) PokeLane(_ context.Context, r job.LaneRef) error {
	l.calls = append(l.calls, "poke "+r.Lane)
	return nil
}

func (l *lanes) Admit(_ context.Context, id job.ID) error {
	if l.down {
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "the engine is away")
	}
	if id == l.absent {
		return job.Errorf(job.NotFound, job.WordNotFound, "no such workflow")
	}
	l.calls = append(l.calls, "admit "+string(id))
	return nil
}

func (l *lanes) Job(context.Context, int64, job.ID) (job.Job, error) { return l.job, l.err }

func (l *lanes) Expire(_ context.Context, _ int64, _ job.ID, fence int64, untaken bool, o job.Outcome) (job.Job, error) {
	l.expired.fence, l.expired.untaken, l.expired.o = fence, untaken, o
	return l.job, l.err
}

// call runs an activity of lanes.
func call[R any](t *testing.T, l *lanes, rings *bell, name string, in any) (R, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	New(Config{Lanes: l, LaneEngine: l, Expiry: l, Jobs: l, Bell: rings}).Register(env)
	var result R
	value, err := env.ExecuteActivity(name, in)
	if err == nil && value.HasValue() {
		err = value.Get(&result)
	}
	return result, err
}

func TestAdvanceLaneTellsThoseWhoDoNotKnow(t *testing.T) {
	l := &lanes{absent: "late", state: job.LaneState{
		Places: 4, Active: 4, Head: []job.ID{"next"}, More: true, Admitted: []job.ID{"known", "new", "late"}, Changed: []job.Job{{ID: "new"}},
	}}
	got, err := call[contract.LaneStatus](t, l, &bell{}, contract.AdvanceLane,
		contract.AdvanceInput{AccountID: 7, Lane: "config:44", Told: []job.ID{"known", "gone"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Lane != "config:44" || got.Places != 4 || got.Active != 4 || got.Waiting != 1 || !got.More || got.Untold != 1 ||
		!slices.Equal(got.Head, []job.ID{"next"}) || !slices.Equal(got.Told, []job.ID{"known", "new"}) {
		t.Errorf("status %+v", got)
	}
	if !slices.Equal(l.calls, []string{"admit new"}) || l.asked != (job.LaneRef{AccountID: 7, Lane: "config:44"}) {
		t.Errorf("calls %v about %v", l.calls, l.asked)
	}
}

func TestAdvanceLaneComesAgainWhenTheEngineIsAway(t *testing.T) {
	l := &lanes{down: true, state: job.LaneState{Places: 1, Active: 1, Admitted: []job.ID{"new"}}}
	_, err := call[contract.LaneStatus](t, l, &bell{}, contract.AdvanceLane, contract.AdvanceInput{AccountID: 7, Lane: "x"})
	if kind, final := typeOf(err); kind != string(job.Unavailable) || final {
		t.Errorf("got %v", err)
	}
}

func TestPokeLaneIsQuietWhenTheLaneCanNotMove(t *testing.T) {
	for _, moves := range []bool{false, true} {
		l := &lanes{moves: moves}
		if _, err := call[struct{}](t, l, &bell{}, contract.PokeLane, contract.PokeInput{AccountID: 7, Lane: "x"}); err != nil {
			t.Fatal(err)
		}
		if got := slices.Equal(l.calls, []string{"poke x"}); got != moves {
			t.Errorf("moves %v: calls %v", moves, l.calls)
		}
	}
	l := &lanes{moves: true, err: job.Errorf(job.Unavailable, job.WordDependencyDown, "away")}
	if _, err := call[struct{}](t, l, &bell{}, contract.PokeLane, contract.PokeInput{}); err == nil || len(l.calls) != 0 {
		t.Errorf("with the database away: %v, %v", l.calls, err)
	}
}

func TestExpireJobSaysWhichLimit(t *testing.T) {
	for limit, c := range map[contract.Limit]struct {
		untaken bool
		says    string
	}{
		contract.LimitQueue: {true, "queueTimeout"},
		contract.LimitTotal: {false, "totalTimeout"},
	} {
		for _, ended := range []bool{true, false} {
			l := &lanes{job: job.Job{ID: jobID, Status: job.Running}}
			if ended {
				l.job.Status, l.job.Reason = job.Failed, job.ReasonTimeout
			}
			got, err := call[contract.ExpireResult](t, l, &bell{}, contract.ExpireJob,
				contract.ExpireInput{JobID: jobID, AccountID: account, RunStarted: runStarted, Limit: limit})
			if err != nil || got.Ended != ended || got.Job.Status != l.job.Status {
				t.Errorf("%s: %+v, %v", limit, got, err)
			}
			o := l.expired.o
			if l.expired.untaken != c.untaken || l.expired.fence != job.SettleFence(runStarted) || o.Status != job.Failed ||
				o.Reason != job.ReasonTimeout || !strings.Contains(o.Message, c.says) {
				t.Errorf("%s: asked the store for %+v", limit, l.expired)
			}
		}
	}
}

func TestATimerThatIsEarlyEndsNothing(t *testing.T) {
	for limit, set := range map[contract.Limit]func(*job.Spec, time.Duration){
		contract.LimitQueue: func(s *job.Spec, d time.Duration) { s.QueueTimeout = d },
		contract.LimitTotal: func(s *job.Spec, d time.Duration) { s.TotalTimeout = d },
	} {
		for _, status := range []job.Status{job.Queued, job.Running} {
			l := &lanes{job: job.Job{ID: jobID, Status: status, ScheduledAt: time.Now().Add(-time.Minute)}}
			ask := func() (contract.ExpireResult, error) {
				return call[contract.ExpireResult](t, l, &bell{}, contract.ExpireJob,
					contract.ExpireInput{JobID: jobID, AccountID: account, RunStarted: runStarted, Limit: limit})
			}
			set(&l.job.Spec, time.Hour)
			_, err := ask()
			var again *temporal.ApplicationError
			if !errors.As(err, &again) || again.NonRetryable() || again.NextRetryDelay() <= 0 || again.NextRetryDelay() > time.Minute {
				t.Errorf("%s limit of a %s job, an hour early: %v, want to be asked again soon", limit, status, err)
			}
			if l.expired.fence != 0 {
				t.Errorf("%s limit of a %s job: the row was touched an hour early", limit, status)
			}
			set(&l.job.Spec, time.Minute)
			if _, err := ask(); err != nil || l.expired.fence == 0 {
				t.Errorf("%s limit of a %s job, when it is over: %v; the row was asked: %v", limit, status, err, l.expired.fence != 0)
			}
			l.job.Status, l.job.Reason = job.Failed, job.ReasonError
			set(&l.job.Spec, time.Hour)
			if got, err := ask(); err != nil || !got.Ended {
				t.Errorf("%s limit of a job that is final: %+v, %v", limit, got, err)
			}
		}
	}
}

func TestProgramThatRunsIntoTheDeadlineIsEnded(t *testing.T) {
	b := newBench(t, untilTerm)
	b.in.Timeout, b.in.Deadline = time.Hour, time.Now().Add(300*time.Millisecond)
	result, err := b.execute()
	if err != nil || result.Status != job.Failed || result.Reason != job.ReasonTimeout {
		t.Fatalf("got %+v %v", result, err)
	}
	if got := b.store.get().Message; !strings.Contains(got, "totalTimeout") {
		t.Error(got)
	}
	if b.store.history[len(b.store.history)-1] != "Finish" {
		t.Error(b.store.history)
	}
}

func TestAttemptThatBeginsAfterTheDeadlineRunsNothing(t *testing.T) {
	b := newBench(t, "echo ran")
	b.in.Deadline = time.Now().Add(-time.Second)
	result, err := b.execute()
	if err != nil || result.Status != job.Failed || result.Reason != job.ReasonTimeout {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Failed, job.ReasonTimeout, "Begin Finish")
}

func TestPauseThatWouldReachBeyondTheDeadlineEndsTheJob(t *testing.T) {
	b := newBench(t, "exit 3")
	b.store.job.Spec.Retry = job.RetryPolicy{MaximumAttempts: 3, InitialInterval: time.Hour}
	b.in.Deadline = time.Now().Add(5 * time.Minute)
	result, err := b.execute()
	if err != nil || result.Status != job.Failed || result.Reason != job.ReasonTimeout || result.ReturnCode == nil || *result.ReturnCode != 3 {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Failed, job.ReasonTimeout, "Begin Started Finish")
	if got := b.store.get().Message; !strings.Contains(got, "totalTimeout") {
		t.Error(got)
	}
}
