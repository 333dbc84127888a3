package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// deliveries stands in for the activities of Deliver.
type deliveries struct {
	tries []contract.DeliverInput
	times []time.Time
	ends  []contract.EndDeliveryInput
	env   *testsuite.TestWorkflowEnvironment

	try func(n int) (contract.DeliverResult, error)
	end func(n int) error
}

func deliverEnv(t *testing.T, d *deliveries) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := newEnv(t, &fakeActivities{})
	d.env = env
	env.RegisterActivityWithOptions(func(_ context.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
		d.tries, d.times = append(d.tries, in), append(d.times, env.Now())
		return d.try(len(d.tries))
	}, activity.RegisterOptions{Name: contract.DeliverOnce})
	env.RegisterActivityWithOptions(func(_ context.Context, in contract.EndDeliveryInput) error {
		d.ends = append(d.ends, in)
		if d.end != nil {
			return d.end(len(d.ends))
		}
		return nil
	}, activity.RegisterOptions{Name: contract.EndDelivery})
	return env
}

var deliverInput = contract.DeliverInput{ID: "69b9209b00000000000000d1", AccountID: 7, JobID: testID, Round: 2}

func again503(pause time.Duration) error {
	return temporal.NewApplicationErrorWithOptions("HTTP 503", contract.ErrNotDelivered, temporal.ApplicationErrorOptions{NextRetryDelay: pause})
}

func TestADeliveryIsTriedUntilItIsTaken(t *testing.T) {
	t.Parallel()
	taken := contract.DeliverResult{Status: job.DeliveryDelivered, Code: 200, Attempts: 3}
	d := &deliveries{try: func(n int) (contract.DeliverResult, error) {
		if n < 3 {
			return contract.DeliverResult{}, again503(time.Duration(n) * time.Hour)
		}
		return taken, nil
	}}
	env := deliverEnv(t, d)
	env.ExecuteWorkflow(contract.DeliverWorkflow, deliverInput)
	var got contract.DeliverResult
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	equal(t, "result", got, taken)
	equal(t, "asked", d.tries, []contract.DeliverInput{deliverInput, deliverInput, deliverInput})
	if pause := d.times[2].Sub(d.times[1]); pause < 2*time.Hour {
		t.Errorf("it paused %s, though the activity asked for 2h", pause)
	}
	if len(d.ends) != 0 {
		t.Errorf("ended: %v", d.ends)
	}
}

func TestADeliveryThatIsRefusedFails(t *testing.T) {
	t.Parallel()
	refused := contract.DeliverResult{Status: job.DeliveryFailed, Code: 404, Attempts: 1, Error: "HTTP 404"}
	d := &deliveries{try: func(int) (contract.DeliverResult, error) { return refused, nil }}
	env := deliverEnv(t, d)
	env.ExecuteWorkflow(contract.DeliverWorkflow, deliverInput)
	var app *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &app) || app.Type() != contract.ErrDeliveryFailed || !app.NonRetryable() {
		t.Fatalf("closed with %v", err)
	}
	var got contract.DeliverResult
	if err := app.Details(&got); err != nil {
		t.Fatal(err)
	}
	equal(t, "details", got, refused)
	if len(d.ends) != 0 {
		t.Errorf("the row has its end: %v", d.ends)
	}
}

func TestADeliveryThatCanNotBeTriedIsEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		try  func(int) (contract.DeliverResult, error)
		want string
	}{
		"refused by ourselves": {func(int) (contract.DeliverResult, error) {
			return contract.DeliverResult{}, temporal.NewNonRetryableApplicationError("x", string(job.Invalid), nil)
		}, "The delivery can not be tried"},
		"a defect": {func(int) (contract.DeliverResult, error) { panic("defect") }, "The worker failed while it delivered; its own log says why"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &deliveries{try: c.try, end: func(n int) error {
				if n == 1 {
					return errors.New("the database is away")
				}
				return nil
			}}
			env := deliverEnv(t, d)
			env.ExecuteWorkflow(contract.DeliverWorkflow, deliverInput)
			var app *temporal.ApplicationError
			if err := env.GetWorkflowError(); !errors.As(err, &app) || app.Type() != contract.ErrDeliveryFailed {
				t.Errorf("closed with %v", err)
			}
			end := contract.EndDeliveryInput{ID: deliverInput.ID, Round: 2, Error: c.want}
			equal(t, "ended", d.ends, []contract.EndDeliveryInput{end, end})
		})
	}
}

func TestACancelEndsADelivery(t *testing.T) {
	t.Parallel()
	d := &deliveries{try: func(int) (contract.DeliverResult, error) { return contract.DeliverResult{}, again503(time.Hour) }}
	env := deliverEnv(t, d)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	env.ExecuteWorkflow(contract.DeliverWorkflow, deliverInput)
	if err := env.GetWorkflowError(); !temporal.IsCanceledError(err) {
		t.Errorf("closed with %v", err)
	}
	equal(t, "ended", d.ends, []contract.EndDeliveryInput{{ID: deliverInput.ID, Round: 2, Error: "Cancelled by an operator"}})
}
