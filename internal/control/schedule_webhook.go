package control

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"waybill/internal/job"
)

// webhookSource is the source of the deliveries that call the webhook of a config's schedule.
func webhookSource(config int64) string { return "schedule/" + strconv.FormatInt(config, 10) }

// firedNote is what a webhook without a payload of its own is told.
type firedNote struct {
	Event    string    `json:"event"`
	ConfigID string    `json:"jobConfigId"`
	Schedule string    `json:"schedule,omitempty"`
	FireTime time.Time `json:"fireTime"`
	Kind     string    `json:"kind"`
	Outcome  string    `json:"outcome"`
	Message  string    `json:"message,omitempty"`
	JobID    string    `json:"jobId,omitempty"`
}

// tell has the webhook of a schedule called after a fire. The key is the fire's time and beginning, so that a repeat tells nothing twice.
func (f *Fires) tell(ctx context.Context, s job.Schedule, fire job.Fire) error {
	w := s.Rule.Webhook
	if w == nil {
		return nil
	}
	call := Webhook{
		Account: s.AccountID, Config: s.ConfigID, Job: fire.JobID, Source: webhookSource(s.ConfigID), Event: job.EventScheduleFired, URL: w.Endpoint, Method: w.Method, Headers: w.Sealed, Body: w.Payload,
	}
	call.Key = fire.At.Format(time.RFC3339) + " " + strconv.FormatInt(fire.Begun.UnixMicro(), 10)
	switch {
	case w.Method == "GET":
		call.Body = ""
	case call.Body == "":
		text, err := json.Marshal(firedNote{
			Event: call.Event, ConfigID: strconv.FormatInt(s.ConfigID, 10), Schedule: s.Rule.Name, FireTime: fire.At, Kind: string(fire.Kind),
			Outcome: string(fire.Outcome), Message: fire.Message, JobID: string(fire.JobID),
		})
		if err != nil {
			return err
		}
		call.Body = string(text)
	}
	_, err := f.Webhooks.EnqueueWebhook(ctx, call)
	return err
}

// lastCall is the newest call of a schedule's webhook as it stands, once it was tried. A call of a schedule that was there before, or of
// another address, is none.
func (s *Schedules) lastCall(ctx context.Context, sch job.Schedule) (*job.Delivery, error) {
	if sch.Rule.Webhook == nil {
		return nil, nil
	}
	d, found, err := s.Webhooks.LastWebhook(ctx, sch.AccountID, webhookSource(sch.ConfigID))
	if err != nil || !found || d.Attempts == 0 || d.CreatedAt.Before(sch.CreatedAt) || d.Target != sch.Rule.Webhook.Endpoint {
		return nil, err
	}
	return &d, nil
}

// fillWebhook checks the webhook of a rule, and seals its headers.
func (s *Schedules) fillWebhook(r *job.ScheduleRule, had *job.Webhook, headers map[string]string) error {
	if r.Webhook == nil {
		return nil
	}
	w := *r.Webhook
	if w.Method = strings.ToUpper(w.Method); w.Method == "" {
		w.Method = "POST"
	}
	if w.Method != "GET" && w.Method != "POST" && w.Method != "PUT" {
		return invalidField("webhookConfig: method is GET, POST or PUT")
	}
	if err := s.Webhooks.CheckURL(w.Endpoint); err != nil {
		return job.Wrap(err, job.CodeOf(err), job.WordOf(err), "webhookConfig: the endpoint is not accepted: %s", shownOf(err))
	}
	if err := CheckWebhook(w.Method, headers, w.Payload); err != nil {
		return job.Wrap(err, job.CodeOf(err), job.WordOf(err), "webhookConfig: %s", shownOf(err))
	}
	if err := s.sealHeaders(&w, had, headers); err != nil {
		return err
	}
	r.Webhook = &w
	return nil
}

// sealHeaders stores the headers as one sealed text. To open the stored ones nothing here has the key, so those that are repeated
// without a value are kept only all together; and only for the address they were given for, or whoever may edit a schedule could have
// them sent to himself.
func (s *Schedules) sealHeaders(w, had *job.Webhook, headers map[string]string) error {
	w.Headers, w.Sealed = nil, ""
	if len(headers) == 0 {
		return nil
	}
	kept := 0
	for name, value := range headers {
		if value == "" {
			kept++
		}
		w.Headers = append(w.Headers, name)
	}
	slices.Sort(w.Headers)
	for i, name := range w.Headers {
		if slices.ContainsFunc(w.Headers[:i], func(other string) bool { return strings.EqualFold(other, name) }) {
			return invalidField("webhookConfig: headers names %s twice", short(name))
		}
	}
	if kept > 0 {
		if had == nil || kept < len(headers) || had.Endpoint != w.Endpoint || !slices.Equal(had.Headers, w.Headers) {
			return invalidField("webhookConfig: give all values of the headers, or the same endpoint and names without any to keep the stored ones")
		}
		w.Sealed = had.Sealed
		return nil
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return job.Wrap(err, job.Internal, job.WordInternal, "The headers can not be stored")
	}
	w.Sealed = s.Sealer.Seal(string(text))
	return nil
}
