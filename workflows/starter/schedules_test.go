package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/schedule"
	"waybill/workflows/contract"
)

// scheduleClient stands in for the engine's schedules and notes what it was asked.
type scheduleClient struct {
	client.ScheduleHandle // what is not answered here is not called

	there   bool
	list    []*client.ScheduleListEntry
	fail    error
	created client.ScheduleOptions
	updated *client.Schedule
	handled string // id of the last handle
	deleted int
	trigger []client.ScheduleTriggerOptions
	filled  []client.ScheduleBackfill
	asked   atomic.Int32 // requests that the schedule may not have taken up yet
	met     atomic.Bool  // two of them were there at once
}

func (c *scheduleClient) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	if c.fail == nil && c.there {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	c.created = o
	return c, c.fail
}

func (c *scheduleClient) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	c.handled = id
	return c
}

// answer is what the engine says to calls about one schedule.
func (c *scheduleClient) answer() error {
	if c.fail == nil && !c.there {
		return serviceerror.NewNotFound("workflow not found")
	}
	return c.fail
}

func (c *scheduleClient) Update(_ context.Context, o client.ScheduleUpdateOptions) error {
	u, err := o.DoUpdate(client.ScheduleUpdateInput{})
	if err != nil {
		return err
	}
	c.updated = u.Schedule
	return c.answer()
}

func (c *scheduleClient) Delete(context.Context) error {
	c.deleted++
	return c.answer()
}

func (c *scheduleClient) Trigger(_ context.Context, o client.ScheduleTriggerOptions) error {
	c.trigger = append(c.trigger, o)
	if c.asked.Add(1) > 1 {
		c.met.Store(true)
	}
	return c.answer()
}

func (c *scheduleClient) Backfill(_ context.Context, o client.ScheduleBackfillOptions) error {
	c.filled = append(c.filled, o.Backfill...)
	if c.asked.Add(1) > 1 {
		c.met.Store(true)
	}
	return c.answer()
}

// Describe answers when the schedule has taken up what it was asked, and fails, which nobody minds.
func (c *scheduleClient) Describe(context.Context) (*client.ScheduleDescription, error) {
	c.asked.Store(0)
	return nil, errors.New("away")
}

func (c *scheduleClient) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	return &entries{c.list, c.fail}, nil
}

// entries is a list that ends with an error when there is one.
type entries struct {
	left []*client.ScheduleListEntry
	fail error
}

func (e *entries) HasNext() bool { return len(e.left) > 0 || e.fail != nil }

func (e *entries) Next() (*client.ScheduleListEntry, error) {
	if len(e.left) == 0 {
		return nil, e.fail
	}
	one := e.left[0]
	e.left = e.left[1:]
	return one, nil
}

// monthly is a schedule with everything.
func monthly(t *testing.T) control.EngineSchedule {
	t.Helper()
	zone, err := schedule.Zone("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	times, err := schedule.Cron("0 25 13 1 * ? *", zone)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 17, 9, 40, 58, 0, time.UTC)
	return control.EngineSchedule{
		ConfigID: 44, AccountID: 7, ConfigName: "orders", Plan: times.Plan(), Overlap: job.OverlapQueueOne, CatchUp: 10 * time.Minute,
		Jitter: time.Minute, Start: start, End: start.Add(1000 * time.Hour), Paused: true, Note: "holiday", Summary: "0 25 13 1 * ? * America/Chicago",
	}
}

// checkAction checks the workflow that a schedule starts.
func checkAction(t *testing.T, a client.ScheduleAction, e control.EngineSchedule, queue string) {
	t.Helper()
	w, ok := a.(*client.ScheduleWorkflowAction)
	if !ok || w.ID != "fire-44" || w.Workflow != contract.FireWorkflow || w.TaskQueue != queue || len(w.Args) != 1 {
		t.Fatalf("action %+v", a)
	}
	if in := w.Args[0].(contract.FireInput); in != (contract.FireInput{AccountID: 7, ConfigID: 44, Paused: e.Paused, End: e.End}) {
		t.Errorf("input %+v", in)
	}
	if w.TypedSearchAttributes.Size() == 0 || !strings.HasPrefix(w.StaticSummary, "orders") || len(w.StaticSummary) > 400 {
		t.Errorf("attributes %v, summary %q", w.TypedSearchAttributes, w.StaticSummary)
	}
}

func checkSpec(t *testing.T, s client.ScheduleSpec, e control.EngineSchedule) {
	t.Helper()
	if len(s.Calendars) != len(e.Plan.Calendars) || len(s.Calendars) == 0 || len(s.Intervals) != 0 || s.TimeZoneName != e.Plan.Zone ||
		s.Jitter != e.Jitter || !s.StartAt.Equal(e.Start) || !s.EndAt.Equal(e.End) {
		t.Errorf("spec %+v", s)
	}
	for i, c := range s.Calendars {
		if len(c.Minute) != 1 || c.Minute[0] != (client.ScheduleRange{Start: 25, End: 25, Step: 1}) || c.Comment != e.Plan.Calendars[i].Comment {
			t.Errorf("calendar %+v", c)
		}
	}
}

func TestPutScheduleCreatesIt(t *testing.T) {
	t.Parallel()
	c, e := &scheduleClient{}, monthly(t)
	e.ConfigName += strings.Repeat("ö", 300)
	if err := NewSchedules(nil, Config{}).with(c).PutSchedule(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	o := c.created
	if o.ID != "schedule-44" || o.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE || o.CatchupWindow != e.CatchUp || !o.Paused || o.Note != "holiday" ||
		o.Memo[contract.MemoJobConfig] != e.ConfigName || o.TypedSearchAttributes.Size() == 0 {
		t.Errorf("%+v", o)
	}
	checkSpec(t, o.Spec, e)
	checkAction(t, o.Action, e, contract.SystemQueue)
}

func TestPutScheduleReplacesTheOneThatIsThere(t *testing.T) {
	t.Parallel()
	c, e := &scheduleClient{there: true}, monthly(t)
	e.Overlap = ""
	if err := NewSchedules(nil, Config{Queue: "other"}).with(c).PutSchedule(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	u := c.updated
	if c.handled != "schedule-44" || u == nil || u.Policy.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL || u.Policy.CatchupWindow != e.CatchUp ||
		!u.State.Paused || u.State.Note != "holiday" {
		t.Fatalf("%s: %+v", c.handled, u)
	}
	checkSpec(t, *u.Spec, e)
	checkAction(t, u.Action, e, "other")
}

func TestAnIntervalIsOneOfTheEngines(t *testing.T) {
	t.Parallel()
	times, err := schedule.Interval("15m", time.Unix(60, 0))
	if err != nil {
		t.Fatal(err)
	}
	s := specOf(control.EngineSchedule{Plan: times.Plan()})
	if len(s.Calendars) != 0 || len(s.Intervals) != 1 || s.Intervals[0] != (client.ScheduleIntervalSpec{Every: 15 * time.Minute, Offset: time.Minute}) {
		t.Errorf("%+v", s)
	}
}

func TestEveryOverlapHasItsPolicy(t *testing.T) {
	t.Parallel()
	for overlap, want := range map[job.Overlap]enumspb.ScheduleOverlapPolicy{
		"": enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, job.OverlapAllow: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
		job.OverlapSkip: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, job.OverlapQueueOne: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
		job.OverlapCancelOther: enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
	} {
		c := &scheduleClient{there: true}
		from, to := time.Unix(3600, 0), time.Unix(7200, 0)
		if err := NewSchedules(nil, Config{}).with(c).Backfill(t.Context(), 44, from, to, overlap); err != nil {
			t.Fatal(err)
		}
		if len(c.filled) != 1 || c.filled[0].Overlap != want || c.filled[0].Start.After(from) || from.Sub(c.filled[0].Start) >= time.Second || !c.filled[0].End.Equal(to) {
			t.Errorf("%q: %+v", overlap, c.filled)
		}
	}
}

func TestRequestsOfAScheduleDoNotMeet(t *testing.T) {
	t.Parallel()
	c := &scheduleClient{there: true}
	s := NewSchedules(nil, Config{}).with(c)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := errors.Join(s.FireNow(t.Context(), 44), s.Backfill(t.Context(), 44, time.Now(), time.Now(), "")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if c.met.Load() || len(c.trigger) != 20 || len(c.filled) != 20 {
		t.Errorf("%d runs and %d fills; two reached the schedule at once: %v", len(c.trigger), len(c.filled), c.met.Load())
	}
}

func TestWhatTheEngineSaysOfSchedules(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*Schedules) error{
		"put":      func(s *Schedules) error { return s.PutSchedule(t.Context(), control.EngineSchedule{ConfigID: 44}) },
		"delete":   func(s *Schedules) error { return s.DeleteSchedule(t.Context(), 44) },
		"run":      func(s *Schedules) error { return s.FireNow(t.Context(), 44) },
		"backfill": func(s *Schedules) error { return s.Backfill(t.Context(), 44, time.Now(), time.Now(), "") },
		"list":     func(s *Schedules) error { _, err := s.EngineSchedules(t.Context()); return err },
	}
	for name, call := range calls {
		absent := &scheduleClient{}
		want := map[string]job.Code{"run": job.NotFound, "backfill": job.NotFound}[name]
		if err := call(NewSchedules(nil, Config{}).with(absent)); want == "" && err != nil || want != "" && job.CodeOf(err) != want {
			t.Errorf("%s of one that is not there: %v", name, err)
		}
		away := &scheduleClient{there: true, fail: serviceerror.NewUnavailable("away")}
		if err := call(NewSchedules(nil, Config{}).with(away)); job.CodeOf(err) != job.Unavailable {
			t.Errorf("%s while the engine is away: %v", name, err)
		}
	}
	c := &scheduleClient{there: true}
	s := NewSchedules(nil, Config{}).with(c)
	if err := s.FireNow(t.Context(), 44); err != nil || c.handled != "schedule-44" || len(c.trigger) != 1 || c.trigger[0].Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED {
		t.Errorf("%s %+v, %v: a run has the schedule's own overlap", c.handled, c.trigger, err)
	}
	if err := s.DeleteSchedule(t.Context(), 44); err != nil || c.deleted != 1 {
		t.Error(c.deleted, err)
	}
}

func TestOnlyOurSchedulesAreListed(t *testing.T) {
	t.Parallel()
	entry := func(id, kind string) *client.ScheduleListEntry {
		return &client.ScheduleListEntry{ID: id, Paused: true, Note: "n", WorkflowType: workflow.Type{Name: kind}}
	}
	c := &scheduleClient{list: []*client.ScheduleListEntry{
		entry("schedule-44", contract.FireWorkflow), entry("schedule-45", "Other"), entry("retention", contract.RetentionWorkflow), entry("schedule-x", contract.FireWorkflow),
	}}
	got, err := NewSchedules(nil, Config{}).with(c).EngineSchedules(t.Context())
	if err != nil || len(got) != 1 || got[0] != (control.EngineScheduleState{ConfigID: 44, Paused: true, Note: "n"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func (s *Schedules) with(c client.ScheduleClient) *Schedules {
	s.engine = c
	return s
}

// TestSchedulesAgainstAServer checks what a fake can not: that the server takes our schedules, and fires them when it is asked.
func TestSchedulesAgainstAServer(t *testing.T) {
	t.Parallel()
	address := os.Getenv("WAYBILL_TEST_TEMPORAL")
	if address == "" {
		t.Skip("WAYBILL_TEST_TEMPORAL names no Temporal server (with Waybill's search attributes)")
	}
	c, err := client.Dial(client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, e := t.Context(), monthly(t)
	e.ConfigID, e.Start, e.End, e.Jitter = time.Now().UnixNano(), time.Time{}, time.Now().Add(24*time.Hour).UTC(), 0
	s := NewSchedules(c.ScheduleClient(), Config{Queue: fmt.Sprintf("nobody-%d", e.ConfigID), Timeout: 10 * time.Second})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.DeleteSchedule(ctx, e.ConfigID)) // absent: no error
	if err := s.FireNow(ctx, e.ConfigID); job.CodeOf(err) != job.NotFound {
		t.Errorf("a run of one that is not there: %v", err)
	}
	must(s.PutSchedule(ctx, e))
	e.Overlap = job.OverlapAllow
	must(s.PutSchedule(ctx, e))
	handle := c.ScheduleClient().GetHandle(ctx, contract.ScheduleID(e.ConfigID))
	d, err := handle.Describe(ctx)
	must(err)
	if st := d.Schedule.State; !st.Paused || st.Note != "holiday" || d.Schedule.Policy.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL || d.Schedule.Policy.CatchupWindow != e.CatchUp {
		t.Errorf("%+v, %+v", st, d.Schedule.Policy)
	}
	poll(t, func() error { // the list lags behind
		list, err := s.EngineSchedules(ctx)
		must(err)
		for _, one := range list {
			if one == (control.EngineScheduleState{ConfigID: e.ConfigID, Paused: true, Note: "holiday"}) {
				return nil
			}
		}
		return fmt.Errorf("not in %v", list)
	})
	must(s.FireNow(ctx, e.ConfigID))
	from := time.Date(2026, 1, 1, 19, 25, 0, 0, time.UTC) // 13:25 in Chicago
	must(s.Backfill(ctx, e.ConfigID, from, from, job.OverlapAllow))
	began := map[string]bool{}
	poll(t, func() error {
		d, err := handle.Describe(ctx)
		must(err)
		ran, filled := false, false
		for _, a := range d.Info.RecentActions {
			ran = ran || !a.ScheduleTime.Equal(from)
			filled = filled || a.ScheduleTime.Equal(from)
			if !strings.HasPrefix(a.StartWorkflowResult.WorkflowID, contract.FireWorkflowID(e.ConfigID)+"-") {
				t.Errorf("%+v", a)
			}
			began[a.StartWorkflowResult.WorkflowID] = true
		}
		if !ran || !filled {
			return fmt.Errorf("paused, asked for one run and one time of the past: %+v", d.Info.RecentActions)
		}
		return nil
	})
	for id := range began {
		must(c.TerminateWorkflow(ctx, id, "", "test"))
	}
	must(s.DeleteSchedule(ctx, e.ConfigID))
}
