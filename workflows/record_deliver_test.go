//go:build record

package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"waybill/internal/job"
	"waybill/workflows"
	"waybill/workflows/contract"
	"waybill/workflows/starter"
)

// deliverTake is the recording of a delivery: what its attempts come to, and what people do.
type deliverTake struct {
	try    func(attempt int32) (contract.DeliverResult, error)
	mail   bool
	cancel bool // after the first attempt
}

func deliverTakes() map[string]deliverTake {
	again := temporal.NewApplicationErrorWithOptions("HTTP 503", contract.ErrNotDelivered,
		temporal.ApplicationErrorOptions{NextRetryDelay: 100 * time.Millisecond})
	later := temporal.NewApplicationErrorWithOptions("HTTP 503", contract.ErrNotDelivered,
		temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour})
	return map[string]deliverTake{
		"deliver": {try: func(attempt int32) (contract.DeliverResult, error) {
			if attempt < 3 {
				return contract.DeliverResult{}, again
			}
			return contract.DeliverResult{Status: job.DeliveryDelivered, Code: 200, Attempts: 3}, nil
		}},
		"deliver_mail": {mail: true, try: func(int32) (contract.DeliverResult, error) {
			return contract.DeliverResult{Status: job.DeliveryDelivered, Code: 250, Attempts: 1}, nil
		}},
		"deliver_refused": {try: func(int32) (contract.DeliverResult, error) {
			return contract.DeliverResult{Status: job.DeliveryFailed, Code: 404, Attempts: 1, Error: "HTTP 404"}, nil
		}},
		"deliver_impossible": {try: func(int32) (contract.DeliverResult, error) {
			return contract.DeliverResult{}, temporal.NewNonRetryableApplicationError("no", string(job.Invalid), errors.New("no"))
		}},
		"deliver_cancelled": {cancel: true, try: func(int32) (contract.DeliverResult, error) {
			return contract.DeliverResult{}, later
		}},
	}
}

// TestRecordDeliveries is TestRecord for Deliver.
func TestRecordDeliveries(t *testing.T) {
	c, err := client.Dial(client.Options{
		HostPort: os.Getenv("WAYBILL_RECORD_ADDRESS"), Identity: "recorder", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	number := 0
	for name, k := range deliverTakes() {
		number++
		if only := os.Getenv("WAYBILL_RECORD_ONLY"); only != "" && only != name {
			continue
		}
		in := contract.DeliverInput{ID: fmt.Sprintf("%08x%014x%02x", time.Now().Unix(), 1, number), AccountID: 7,
			JobID: "69b9209b00000000000000c1", Round: 1, Mail: k.mail}
		t.Run(name, func(t *testing.T) { recordDelivery(t, c, name, k, in) })
	}
}

func recordDelivery(t *testing.T, c client.Client, name string, k deliverTake, in contract.DeliverInput) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tried := make(chan struct{}, 10)
	w := worker.New(c, contract.SystemQueue, worker.Options{Identity: "recorder"})
	workflows.Register(w)
	status := worker.New(c, contract.StatusQueue(contract.SystemQueue), worker.Options{Identity: "recorder", DisableWorkflowWorker: true})
	status.RegisterActivityWithOptions(func(ctx context.Context, _ contract.DeliverInput) (contract.DeliverResult, error) {
		defer func() { tried <- struct{}{} }()
		return k.try(activity.GetInfo(ctx).Attempt)
	}, activity.RegisterOptions{Name: contract.DeliverOnce})
	status.RegisterActivityWithOptions(func(context.Context, contract.EndDeliveryInput) error { return nil },
		activity.RegisterOptions{Name: contract.EndDelivery})
	for _, one := range []worker.Worker{w, status} {
		if err := one.Start(); err != nil {
			t.Fatal(err)
		}
		defer one.Stop()
	}
	if err := starter.New(c, starter.Config{Timeout: 10 * time.Second}).StartDelivery(ctx, in); err != nil {
		t.Fatal(err)
	}
	id := contract.DeliverWorkflowID(in.ID, in.Round)
	if k.cancel {
		<-tried
		if err := c.CancelWorkflow(ctx, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	(&stage{T: t, ctx: ctx, c: c}).save(name, id)
}
