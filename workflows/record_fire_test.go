//go:build record

package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/schedule"
	"waybill/workflows"
	"waybill/workflows/contract"
	"waybill/workflows/starter"
)

// fireTake is the recording of a fire: what came of it, and who else is at work.
type fireTake struct {
	refused   bool
	elsewhere bool // the reconciler has started the job already
	cancel    bool // once the program runs
}

// TestRecordFires is TestRecord for Fire, started by a schedule of the server as the starter makes it.
func TestRecordFires(t *testing.T) {
	c, err := client.Dial(client.Options{
		HostPort: os.Getenv("WAYBILL_RECORD_ADDRESS"), Identity: "recorder", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	number := int64(0)
	for name, k := range map[string]fireTake{
		"fire": {}, "fire_refused": {refused: true}, "fire_job_elsewhere": {elsewhere: true}, "fire_cancelled": {cancel: true},
	} {
		number++
		if only := os.Getenv("WAYBILL_RECORD_ONLY"); only != "" && only != name {
			continue
		}
		config := time.Now().Unix()*10 + number
		t.Run(name, func(t *testing.T) { recordFire(t, c, name, k, config) })
	}
}

func recordFire(t *testing.T, c client.Client, name string, k fireTake, config int64) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	queue := "record-" + name
	cfg := starter.Config{Queue: queue, Timeout: 10 * time.Second}
	jobs, schedules := starter.New(c, cfg), starter.NewSchedules(c.ScheduleClient(), cfg)
	in := contract.JobInput{
		JobID: job.ID(fmt.Sprintf("%024x", config)), AccountID: 7, ConfigID: config, ConfigName: "orders", TaskQueue: queue,
		Timeout: time.Minute, Grace: 10 * time.Second, HeartbeatTimeout: 15 * time.Second,
	}
	in.Root = in.JobID
	running := make(chan struct{}, 10)
	var looks atomic.Int32
	w := worker.New(c, queue, worker.Options{Identity: "recorder", DisableRegistrationAliasing: true, MaxHeartbeatThrottleInterval: 100 * time.Millisecond})
	workflows.Register(w)
	w.RegisterActivityWithOptions(func(ctx context.Context, _ contract.ExecuteInput) (contract.JobResult, error) {
		running <- struct{}{}
		code := 0
		done := contract.JobResult{JobID: in.JobID, Status: job.Completed, ReturnCode: &code}
		for k.cancel {
			activity.RecordHeartbeat(ctx)
			select {
			case <-ctx.Done():
				return contract.JobResult{JobID: in.JobID, Status: job.Cancelled, Reason: job.ReasonStopped}, nil
			case <-time.After(100 * time.Millisecond):
			}
		}
		return done, nil
	}, activity.RegisterOptions{Name: contract.ExecutePackage})
	status := worker.New(c, contract.StatusQueue(queue), worker.Options{Identity: "recorder", DisableWorkflowWorker: true})
	status.RegisterActivityWithOptions(func(ctx context.Context, take contract.TakeFireInput) (contract.Fired, error) {
		if k.refused {
			return contract.Fired{Outcome: string(job.FireRefused), Message: "Job config 44 is not active", At: take.At}, nil
		}
		if k.elsewhere {
			if err := jobs.StartJob(ctx, in); err != nil {
				return contract.Fired{}, err
			}
		}
		return contract.Fired{Outcome: string(job.FireStarted), JobID: in.JobID, At: take.At, Job: &in}, nil
	}, activity.RegisterOptions{Name: contract.TakeFire})
	status.RegisterActivityWithOptions(func(context.Context, contract.LookAtJobInput) (contract.JobResult, error) {
		if looks.Add(1) < 3 {
			return contract.JobResult{JobID: in.JobID, Status: job.Running}, nil
		}
		return contract.JobResult{JobID: in.JobID, Status: job.Completed}, nil
	}, activity.RegisterOptions{Name: contract.LookAtJob})
	for _, one := range []worker.Worker{w, status} {
		if err := one.Start(); err != nil {
			t.Fatal(err)
		}
		defer one.Stop()
	}
	id := fireOnce(ctx, t, c, schedules, config)
	if k.cancel {
		<-running
		if err := c.CancelWorkflow(ctx, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	(&stage{T: t, ctx: ctx, c: c}).save(name, id)
}

// fireOnce makes a schedule, has it fire, and gives the id of its Fire.
func fireOnce(ctx context.Context, t *testing.T, c client.Client, schedules *starter.Schedules, config int64) string {
	times, err := schedule.Cron("0 0 3 ? * MON", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if err := schedules.PutSchedule(ctx, control.EngineSchedule{
		ConfigID: config, AccountID: 7, ConfigName: "orders", Plan: times.Plan(), Summary: "0 0 3 ? * MON", CatchUp: job.DefaultCatchUp,
	}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = schedules.DeleteSchedule(context.WithoutCancel(ctx), config) }()
	if err := schedules.FireNow(ctx, config); err != nil {
		t.Fatal(err)
	}
	handle := c.ScheduleClient().GetHandle(ctx, contract.ScheduleID(config))
	for ctx.Err() == nil {
		d, err := handle.Describe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if recent := d.Info.RecentActions; len(recent) > 0 {
			return recent[0].StartWorkflowResult.WorkflowID
		}
	}
	t.Fatal("the schedule has not fired")
	return ""
}
