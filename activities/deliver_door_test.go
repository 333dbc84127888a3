package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/internal/job"
	"waybill/internal/webhook"
	"waybill/workflows/contract"
)

// through delivers a row that a door's client asked for.
func (p *post) through(t *testing.T) (contract.DeliverResult, error) {
	t.Helper()
	p.row.Door, p.row.Sealed = "informatica", ""
	return activities.NewDeliveries(activities.DeliverConfig{
		Run: p, Jobs: p, Logs: p, Secrets: unsealer{}, Calls: caller{p}, Now: func() time.Time { return p.now },
		Doors: map[string]activities.DoorCall{"informatica": func(_ context.Context, j job.Job) ([]byte, error) {
			return []byte(`{"@type":"job","id":"` + string(j.ID) + `"}`), nil
		}},
	}).DeliverOnce(t.Context(), contract.DeliverInput{ID: p.row.ID, AccountID: 7, Round: 1})
}

// I-11: 500, then 200; the same delivery twice, and no third one.
func TestACallOfADoorIsRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	p := newPost()
	p.answer = webhook.Answer{Code: 500}
	_, err := p.through(t)
	var again *temporal.ApplicationError
	if !errors.As(err, &again) || again.NextRetryDelay() > 100*time.Millisecond {
		t.Fatalf("after a 500: %v", err)
	}
	p.answer = webhook.Answer{Code: 200}
	if got, err := p.through(t); err != nil || got.Status != job.DeliveryDelivered || got.Attempts != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := p.through(t); err != nil || len(p.calls) != 2 {
		t.Errorf("%d calls, %v", len(p.calls), err)
	}
	const body = `{"@type":"job","id":"69b9209b00000000000000c1"}`
	for i, c := range p.calls {
		if c.Body != body || c.Header["Content-Type"] != "application/json" || c.Header["X-Waybill-Delivery"] != p.row.ID || c.Timeout != 30*time.Second {
			t.Errorf("call %d: %+v", i, c)
		}
		if c.Header["X-Waybill-Signature"] != "" {
			t.Error("nobody has its secret")
		}
	}
}

func TestACallOfADoorIsMadeForADay(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]webhook.Answer{
		"a server's fault": {Code: 500, RetryAfter: 30 * time.Minute}, "another success": {Code: 202}, "a redirect": {Code: 302}, "not found": {Code: 404},
	} {
		p := newPost()
		p.answer = answer
		began := p.now
		var pauses []time.Duration
		for p.row.Status == job.DeliveryDelivering {
			_, err := p.through(t)
			var again *temporal.ApplicationError
			if !errors.As(err, &again) {
				break
			}
			pauses = append(pauses, again.NextRetryDelay())
			p.now = p.now.Add(again.NextRetryDelay())
		}
		if len(pauses) < 9 || pauses[0] > time.Second || pauses[1] > time.Second {
			t.Fatalf("%s: pauses %v", name, pauses)
		}
		for i, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			if pauses[2+i] != time.Duration(minutes)*time.Minute {
				t.Errorf("%s: pause %d is %s, want %d minutes", name, 2+i, pauses[2+i], minutes)
			}
		}
		if took := p.now.Sub(began); p.row.Status != job.DeliveryFailed || took < 22*time.Hour || took > 24*time.Hour {
			t.Errorf("%s: %s after %s", name, p.row.Status, took)
		}
	}
}

func TestAnAddressThatMustNotBeCalledIsGivenUp(t *testing.T) {
	t.Parallel()
	p := newPost()
	p.fault = &webhook.Fault{Text: "The address is not a public one", Final: true}
	if got, err := p.through(t); err != nil || got.Status != job.DeliveryFailed || len(p.calls) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
