package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"

	"waybill/internal/job"
)

// Histories tells which keys a namespace still needs.
type Histories struct {
	Client    client.Client
	Namespace string
	Codec     *Codec
}

// schedulesPage is how many schedules are read at once, and historyCall bounds one call.
const (
	schedulesPage = 100
	historyCall   = 10 * time.Second
)

// OpenSince counts open workflows that began before: those may hold what was sealed with a key that was in use until then. What
// they are given later, and workflows that began later, are sealed with the next key.
func (h Histories) OpenSince(ctx context.Context, before time.Time) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, historyCall)
	defer cancel()
	answer, err := h.Client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: h.Namespace,
		Query:     fmt.Sprintf("ExecutionStatus = 'Running' AND StartTime < '%s'", before.UTC().Format(time.RFC3339Nano)),
	})
	if err != nil {
		return 0, Fault(err, Options{Address: "the engine", Namespace: h.Namespace})
	}
	return answer.GetCount(), nil
}

// SchedulesOf counts schedules whose workflows would be started with something sealed with the key. They live as long as their job
// configs.
func (h Histories) SchedulesOf(ctx context.Context, key string) (n int, err error) {
	err = h.eachSchedule(ctx, func(_ context.Context, _ string, s *workflowservice.DescribeScheduleResponse) error {
		for _, list := range payloadsOf(s.GetSchedule()) {
			for _, p := range list {
				if KeyOf(p) == key {
					n++
					return nil
				}
			}
		}
		return nil
	})
	return n, err
}

// ResealSchedules gives every schedule what it starts workflows with anew, as the codec seals now, where it is sealed otherwise. It may be
// broken off and repeated.
func (h Histories) ResealSchedules(ctx context.Context) (n int, err error) {
	newest := h.Codec.box.Newest()
	if !h.Codec.Seals() {
		newest = ""
	}
	err = h.eachSchedule(ctx, func(ctx context.Context, id string, s *workflowservice.DescribeScheduleResponse) error {
		changed := false
		for _, list := range payloadsOf(s.GetSchedule()) {
			for i, p := range list {
				if KeyOf(p) == newest {
					continue
				}
				opened, err := h.Codec.Decode([]*commonpb.Payload{p})
				if err == nil {
					opened, err = h.Codec.Encode(opened)
				}
				if err != nil {
					return fmt.Errorf("schedule %s: %w", id, err)
				}
				proto.Reset(list[i])
				proto.Merge(list[i], opened[0])
				changed = true
			}
		}
		if !changed {
			return nil
		}
		n++
		_, err := h.Client.WorkflowService().UpdateSchedule(ctx, &workflowservice.UpdateScheduleRequest{
			Namespace: h.Namespace, ScheduleId: id, Schedule: s.GetSchedule(), ConflictToken: s.GetConflictToken(), Identity: "waybill keys",
		})
		return err
	})
	return n, err
}

// payloadsOf are the payloads that a schedule's workflows are started with.
func payloadsOf(s *schedulepb.Schedule) [][]*commonpb.Payload {
	w := s.GetAction().GetStartWorkflow()
	lists := [][]*commonpb.Payload{w.GetInput().GetPayloads()}
	for _, fields := range []map[string]*commonpb.Payload{w.GetMemo().GetFields(), w.GetHeader().GetFields()} {
		for _, p := range fields {
			lists = append(lists, []*commonpb.Payload{p})
		}
	}
	for _, p := range []*commonpb.Payload{w.GetUserMetadata().GetSummary(), w.GetUserMetadata().GetDetails()} {
		if p != nil {
			lists = append(lists, []*commonpb.Payload{p})
		}
	}
	return lists
}

func (h Histories) eachSchedule(ctx context.Context, see func(context.Context, string, *workflowservice.DescribeScheduleResponse) error) error {
	var token []byte
	for {
		page, err := h.Client.WorkflowService().ListSchedules(ctx, &workflowservice.ListSchedulesRequest{
			Namespace: h.Namespace, MaximumPageSize: schedulesPage, NextPageToken: token,
		})
		if err != nil {
			return Fault(err, Options{Address: "the engine", Namespace: h.Namespace})
		}
		for _, s := range page.GetSchedules() {
			err := h.oneSchedule(ctx, s.GetScheduleId(), see)
			var gone *serviceerror.NotFound
			if err != nil && !errors.As(err, &gone) {
				return err
			}
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return nil
		}
	}
}

// conflicts is how often a schedule that others change at the same time is tried again.
const conflicts = 5

func (h Histories) oneSchedule(ctx context.Context, id string, see func(context.Context, string, *workflowservice.DescribeScheduleResponse) error) error {
	for try := 1; ; try++ {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, historyCall)
			defer cancel()
			s, err := h.Client.WorkflowService().DescribeSchedule(ctx, &workflowservice.DescribeScheduleRequest{Namespace: h.Namespace, ScheduleId: id})
			if err != nil {
				return err
			}
			return see(ctx, id, s)
		}()
		var conflict *serviceerror.FailedPrecondition
		if !errors.As(err, &conflict) || try == conflicts {
			return wrapSchedule(err, id)
		}
	}
}

func wrapSchedule(err error, id string) error {
	var gone *serviceerror.NotFound
	if err == nil || errors.As(err, &gone) {
		return err
	}
	return job.Wrap(err, job.Unavailable, job.WordDependencyDown, "the schedule %s can not be read or changed", id)
}
