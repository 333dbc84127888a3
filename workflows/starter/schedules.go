package starter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/schedule"
	"waybill/workflows"
	"waybill/workflows/contract"
)

var _ control.ScheduleEngine = (*Schedules)(nil)

// Schedules keeps the schedules of job configs in Temporal: one each, whose action is the workflow Fire. It is safe for concurrent use.
type Schedules struct {
	engine  client.ScheduleClient
	queue   string
	timeout time.Duration
	asking  [64]sync.Mutex // one request at a time for a schedule, see ask
}

// NewSchedules makes a Schedules on the schedules of a client.
func NewSchedules(c client.ScheduleClient, cfg Config) *Schedules {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Queue == "" {
		cfg.Queue = contract.SystemQueue
	}
	return &Schedules{engine: c, queue: cfg.Queue, timeout: cfg.Timeout}
}

// overlaps are Temporal's words for ours.
var overlaps = map[job.Overlap]enumspb.ScheduleOverlapPolicy{
	"":                     enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
	job.OverlapAllow:       enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
	job.OverlapSkip:        enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	job.OverlapQueueOne:    enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	job.OverlapCancelOther: enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
}

// PutSchedule is control.ScheduleEngine's: it creates the schedule, or gives the one that is there everything of the new one.
func (s *Schedules) PutSchedule(ctx context.Context, e control.EngineSchedule) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	id, spec, action := contract.ScheduleID(e.ConfigID), specOf(e), s.actionOf(e)
	_, err := s.engine.Create(ctx, client.ScheduleOptions{
		ID: id, Spec: spec, Action: action, Overlap: overlaps[e.Overlap], CatchupWindow: e.CatchUp, Paused: e.Paused, Note: e.Note,
		Memo: map[string]any{contract.MemoJobConfig: e.ConfigName}, TypedSearchAttributes: workflows.FireAttributes(e.AccountID, e.ConfigID),
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return translate(ctx, err, "create the schedule")
	}
	err = s.engine.GetHandle(ctx, id).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			return &client.ScheduleUpdate{Schedule: &client.Schedule{
				Action: action, Spec: &spec, Policy: &client.SchedulePolicies{Overlap: overlaps[e.Overlap], CatchupWindow: e.CatchUp},
				State: &client.ScheduleState{Paused: e.Paused, Note: e.Note},
			}}, nil
		},
	})
	return translate(ctx, err, "change the schedule")
}

func (s *Schedules) actionOf(e control.EngineSchedule) *client.ScheduleWorkflowAction {
	summary := fmt.Sprintf("%s, %s", e.ConfigName, e.Summary)
	if runes := []rune(summary); len(runes) > maxSummary {
		summary = string(runes[:maxSummary])
	}
	return &client.ScheduleWorkflowAction{
		ID: contract.FireWorkflowID(e.ConfigID), Workflow: contract.FireWorkflow, TaskQueue: s.queue,
		Args:                  []any{contract.FireInput{AccountID: e.AccountID, ConfigID: e.ConfigID, Paused: e.Paused, End: e.End}},
		Memo:                  map[string]any{contract.MemoJobConfig: e.ConfigName},
		TypedSearchAttributes: workflows.FireAttributes(e.AccountID, e.ConfigID),
		StaticSummary:         summary,
	}
}

// maxSummary is well below the 400 bytes Temporal takes.
const maxSummary = 90

func specOf(e control.EngineSchedule) client.ScheduleSpec {
	spec := client.ScheduleSpec{StartAt: e.Start, EndAt: e.End, Jitter: e.Jitter, TimeZoneName: e.Plan.Zone}
	for _, c := range e.Plan.Calendars {
		spec.Calendars = append(spec.Calendars, client.ScheduleCalendarSpec{
			Second: rangesOf(c.Seconds), Minute: rangesOf(c.Minutes), Hour: rangesOf(c.Hours), DayOfMonth: rangesOf(c.Days),
			Month: rangesOf(c.Months), DayOfWeek: rangesOf(c.Weekdays), Year: rangesOf(c.Years), Comment: c.Comment,
		})
	}
	if e.Plan.Every > 0 {
		spec.Intervals = []client.ScheduleIntervalSpec{{Every: e.Plan.Every, Offset: e.Plan.Offset}}
	}
	return spec
}

func rangesOf(from []schedule.Range) []client.ScheduleRange {
	var to []client.ScheduleRange
	for _, r := range from {
		to = append(to, client.ScheduleRange{Start: r.From, End: r.To, Step: 1})
	}
	return to
}

// DeleteSchedule is control.ScheduleEngine's.
func (s *Schedules) DeleteSchedule(ctx context.Context, config int64) error {
	err := s.handle(ctx, config, "delete the schedule", func(ctx context.Context, h client.ScheduleHandle) error { return h.Delete(ctx) })
	if job.CodeOf(err) == job.NotFound {
		return nil
	}
	return err
}

// FireNow is control.ScheduleEngine's.
func (s *Schedules) FireNow(ctx context.Context, config int64) error {
	return s.ask(ctx, config, "run the schedule", func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Trigger(ctx, client.ScheduleTriggerOptions{})
	})
}

// Backfill is control.ScheduleEngine's. The beginning is put a moment earlier, because servers do not agree on whether it is a part
// of the stretch; schedules fire at whole seconds.
func (s *Schedules) Backfill(ctx context.Context, config int64, from, to time.Time, overlap job.Overlap) error {
	return s.ask(ctx, config, "backfill the schedule", func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{{
			Start: from.Add(-time.Millisecond), End: to, Overlap: overlaps[overlap],
		}}})
	})
}

// ask requests something of a schedule and waits until the schedule has taken it up. Temporal keeps a schedule as a
// workflow that takes in one request at a time: of two that reach it in one step the first is lost (seen with server
// 1.29.1). The schedule describes itself after such a step only, so who waits for that is not overtaken. Requests of two
// processes within some milliseconds may still meet.
func (s *Schedules) ask(ctx context.Context, config int64, what string, request func(context.Context, client.ScheduleHandle) error) error {
	one := &s.asking[uint64(config)%uint64(len(s.asking))]
	one.Lock()
	defer one.Unlock()
	return s.handle(ctx, config, what, func(ctx context.Context, h client.ScheduleHandle) error {
		if err := request(ctx, h); err != nil {
			return err
		}
		_, _ = h.Describe(ctx) // the request stands, whether it can be seen or not
		return nil
	})
}

func (s *Schedules) handle(ctx context.Context, config int64, what string, do func(context.Context, client.ScheduleHandle) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return translate(ctx, do(ctx, s.engine.GetHandle(ctx, contract.ScheduleID(config))), what)
}

// EngineSchedules is control.ScheduleEngine's. It leaves out what is not ours.
func (s *Schedules) EngineSchedules(ctx context.Context) ([]control.EngineScheduleState, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second) // many pages
	defer cancel()
	list, err := s.engine.List(ctx, client.ScheduleListOptions{PageSize: pageSize})
	if err != nil {
		return nil, translate(ctx, err, "list the schedules")
	}
	var found []control.EngineScheduleState
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return nil, translate(ctx, err, "list the schedules")
		}
		if config, ours := contract.ScheduleConfig(entry.ID); ours && entry.WorkflowType.Name == contract.FireWorkflow {
			found = append(found, control.EngineScheduleState{ConfigID: config, Paused: entry.Paused, Note: entry.Note})
		}
	}
	return found, nil
}
