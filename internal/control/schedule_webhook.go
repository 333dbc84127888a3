package control

import (
	"context"
	"encoding/json"
	"strings"

	"waybill/internal/job"
)

// WebhookRequest is a call of a webhook.
type WebhookRequest struct {
	Method, URL, Body string
	Headers           map[string]string
}

// WebhookSender makes calls of webhooks (internal/webhook does), within its own time, to addresses users may name. A status is an answer, whatever
// it is; without one, text says why in words fit to be shown, and final that another try can not help.
type WebhookSender func(ctx context.Context, r WebhookRequest) (status int, text string, final bool)

// Opener opens sealed values (internal/secret.Box).
type Opener interface {
	Open(sealed string) (string, error)
}

// ScheduleWebhooks calls the webhooks of schedules.
type ScheduleWebhooks struct {
	Schedules ScheduleStore
	Fires     FireStore
	Secrets   Opener
	Send      WebhookSender
	Now       Clock
}

// Call calls the webhook of a config's schedule and stores how it went. Unavailable means that another try may help: there was no
// answer, or one of 429 or 500 and above.
func (w *ScheduleWebhooks) Call(ctx context.Context, account, config int64) error {
	sch, err := w.Schedules.Schedule(ctx, account, config)
	if job.CodeOf(err) == job.NotFound || err == nil && sch.Rule.Webhook == nil {
		return nil // taken away meanwhile
	}
	if err != nil {
		return err
	}
	hook := *sch.Rule.Webhook
	headers, err := w.headers(hook)
	if err != nil {
		return err
	}
	body := hook.Payload
	if hook.Method == "GET" {
		body = ""
	}
	status, text, final := w.Send(ctx, WebhookRequest{Method: hook.Method, URL: hook.Endpoint, Body: body, Headers: headers})
	if runes := []rune(text); len(runes) > maxNote {
		text = string(runes[:maxNote])
	}
	err = w.Fires.WebhookCalled(ctx, account, config, job.WebhookCall{Status: status, Message: text, At: w.Now()})
	if err == nil && !final && (status == 0 || status == 429 || status >= 500) {
		err = job.Errorf(job.Unavailable, job.WordDependencyDown, "The webhook did not take the call (status %d)", status)
	}
	return err
}

func (w *ScheduleWebhooks) headers(hook job.Webhook) (map[string]string, error) {
	headers := map[string]string{}
	if hook.Sealed != "" {
		text, err := w.Secrets.Open(hook.Sealed)
		if err == nil {
			err = json.Unmarshal([]byte(text), &headers)
		}
		if err != nil {
			return nil, job.Wrap(err, job.Internal, job.WordInternal, "The headers of the webhook can not be read")
		}
	}
	for name := range headers {
		if strings.EqualFold(name, "Content-Type") {
			return headers, nil
		}
	}
	if hook.Payload != "" && hook.Method != "GET" {
		headers["Content-Type"] = "text/plain; charset=utf-8"
		if json.Valid([]byte(hook.Payload)) {
			headers["Content-Type"] = "application/json"
		}
	}
	return headers, nil
}
