package native

import (
	"strconv"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/schedule"
)

// scheduleRequest is the vendor's ScheduleRequest with the additions of docs/schedules.md.
type scheduleRequest struct {
	Name        string          `json:"name"`
	Type        string          `json:"type" doc:"cron or interval"`
	Cron        string          `json:"cronSchedule" doc:"Quartz with 6 or 7 fields, or Unix cron with 5"`
	Interval    string          `json:"intervalFrequency" doc:"15m or PT15M; a minute at least"`
	Description string          `json:"description"`
	TimeZone    timeZone        `json:"timeZone" doc:"UTC if not given"`
	Webhook     *webhookRequest `json:"webhookConfig"`

	Overlap   string         `json:"overlap" doc:"While the job of an earlier fire is not final: allow, skip, queue_one or cancel_other; allow if not given"`
	CatchUp   string         `json:"catchUpWindow" doc:"How old a missed fire may be to be made up; 10m if not given"`
	Jitter    string         `json:"jitter" doc:"Fires come up to this much later"`
	StartDate member[any]    `json:"startDate" doc:"No fires before"`
	EndDate   member[any]    `json:"endDate" doc:"No fires after"`
	MaxRuns   member[int64]  `json:"maxRuns" doc:"Jobs the schedule makes in all; 0: no limit"`
	Paused    member[bool]   `json:"paused" doc:"A schedule that is replaced stays paused, or not, if not given"`
	Note      member[string] `json:"note" doc:"Why it is paused; stays as it is if not given"`
}

// timeZone is the vendor's TimeZone, by its IANA id.
type timeZone struct {
	ID string `json:"id"`
}

// webhookRequest is the vendor's WebhookConfig as a client sends it.
type webhookRequest struct {
	Method   string            `json:"method" doc:"POST, GET or PUT; POST if not given"`
	Endpoint string            `json:"endpoint"`
	Payload  string            `json:"payload"`
	Headers  map[string]string `json:"headers" doc:"Values are never shown again; the same names with empty values keep the stored ones"`
}

// scheduleResponse is the vendor's ScheduleResponse with our additions.
type scheduleResponse struct {
	Name         string           `json:"name,omitempty"`
	Type         string           `json:"type"`
	Cron         string           `json:"cronSchedule,omitempty"`
	Interval     string           `json:"intervalFrequency,omitempty"`
	NextFireTime string           `json:"nextFireTime,omitempty"`
	Description  string           `json:"description,omitempty"`
	TimeZone     timeZone         `json:"timeZone"`
	ZoneName     string           `json:"timeZoneDisplayName"`
	ZoneShort    string           `json:"timeZoneShortId"`
	ZoneOffset   zoneOffset       `json:"timeZoneOffset"`
	ResourceID   string           `json:"resourceId"`
	ResourceType string           `json:"resourceType"`
	Webhook      *webhookResponse `json:"webhookConfig,omitempty"`

	Overlap   string        `json:"overlap"`
	CatchUp   string        `json:"catchUpWindow"`
	Jitter    string        `json:"jitter,omitempty"`
	StartDate string        `json:"startDate,omitempty"`
	EndDate   string        `json:"endDate,omitempty"`
	MaxRuns   int64         `json:"maxRuns,omitempty"`
	Runs      int64         `json:"runs" doc:"Jobs the schedule has made"`
	Paused    bool          `json:"paused"`
	Note      string        `json:"note,omitempty"`
	LastFire  *fireResponse `json:"lastFire,omitempty"`
	Warnings  []string      `json:"warnings,omitempty" doc:"engine_unreachable: stored, and in force when the engine is back"`
}

// zoneOffset is the vendor's ZoneOffset: what is added to UTC at the time of the call.
type zoneOffset struct {
	ID           string `json:"id"`
	TotalSeconds int    `json:"totalSeconds"`
}

// webhookResponse is the vendor's WebhookConfig as it is shown: headers without their values.
type webhookResponse struct {
	Method      string            `json:"method"`
	Endpoint    string            `json:"endpoint"`
	Payload     string            `json:"payload,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	LastStatus  string            `json:"lastExecutionStatusCode,omitempty"`
	LastMessage string            `json:"lastExecutionMessage,omitempty"`
	LastTime    string            `json:"lastExecutionTime,omitempty"`

	LastDelivery string `json:"lastDeliveryId,omitempty" doc:"When a job was made: see GET /jobs/{id}/deliveries"`
}

// fireResponse is what came of a fire.
type fireResponse struct {
	FireTime string     `json:"fireTime" doc:"The time the schedule names; of a run, when it began"`
	TakenUp  string     `json:"takenUp"`
	Kind     string     `json:"kind" doc:"schedule, run or backfill"`
	Outcome  string     `json:"outcome" doc:"started, skipped, missed, refused, or pending while the job is being made"`
	Message  string     `json:"message,omitempty"`
	Job      *reference `json:"job,omitempty"`
}

type noteRequest struct {
	Note string `json:"note"`
}

type backfillRequest struct {
	From    member[any] `json:"from"`
	To      member[any] `json:"to" doc:"Included, as from is"`
	Overlap string      `json:"overlap" doc:"As of the schedule; its own if not given"`
}

type backfillResponse struct {
	Fires int `json:"fires" doc:"Times of the schedule between from and to"`
}

// input turns a request into what the use case takes.
func (r scheduleRequest) input() (control.ScheduleInput, error) {
	in := control.ScheduleInput{Rule: job.ScheduleRule{
		Name: r.Name, Kind: job.ScheduleKind(r.Type), Cron: r.Cron, Interval: r.Interval, Description: r.Description, Zone: r.TimeZone.ID,
		Overlap: job.Overlap(r.Overlap), MaxRuns: r.MaxRuns.Value,
	}}
	if r.Paused.Set {
		in.Paused = &r.Paused.Value
	}
	if r.Note.Set {
		in.Note = &r.Note.Value
	}
	var err error
	for _, one := range []struct {
		name, text string
		to         *time.Duration
	}{{"catchUpWindow", r.CatchUp, &in.Rule.CatchUp}, {"jitter", r.Jitter, &in.Rule.Jitter}} {
		if one.text == "" {
			continue
		}
		if *one.to, err = parseDuration(one.text); err != nil {
			return in, invalid("%s is a duration such as 10m or PT10M", one.name)
		}
	}
	if in.Rule.Start, err = dateMember("startDate", r.StartDate); err != nil {
		return in, err
	}
	if in.Rule.End, err = dateMember("endDate", r.EndDate); err != nil {
		return in, err
	}
	if w := r.Webhook; w != nil {
		in.Rule.Webhook, in.Headers = &job.Webhook{Method: w.Method, Endpoint: w.Endpoint, Payload: w.Payload}, w.Headers
	}
	return in, nil
}

// dateMember reads a date that a JSON member holds as text or number; the zero time when it is not there.
func dateMember(name string, m member[any]) (time.Time, error) {
	var text string
	switch v := m.Value.(type) {
	case nil:
		return time.Time{}, nil
	case string:
		text = v
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	}
	if text == "" && m.Value == "" {
		return time.Time{}, nil
	}
	at, _, err := dateParam(name, text)
	if err == nil && (at.Year() < 1970 || at.Year() > 2200) {
		err = invalid("%s is between 1970 and 2200", name)
	}
	return at, err
}

func (c call) schedule(v control.ScheduleView) scheduleResponse {
	r := v.Rule
	zone, err := schedule.Zone(r.Zone)
	if err != nil { // a zone that went out of the world since
		zone = time.UTC
	}
	short, offset := c.Time.In(zone).Zone()
	out := scheduleResponse{
		Name: r.Name, Type: string(r.Kind), Cron: r.Cron, Interval: r.Interval, NextFireTime: c.date(v.Next), Description: r.Description,
		TimeZone: timeZone{ID: zone.String()}, ZoneName: zone.String() + " (" + schedule.OffsetText(offset) + ")", ZoneShort: short,
		ZoneOffset: zoneOffset{ID: schedule.OffsetText(offset)[3:], TotalSeconds: offset},
		ResourceID: strconv.FormatInt(v.ConfigID, 10), ResourceType: "jobconfigs", Webhook: c.webhook(v),
		Overlap: string(r.Overlap), CatchUp: isoDuration(r.CatchUpWindow()), StartDate: c.date(r.Start), EndDate: c.date(r.End),
		MaxRuns: r.MaxRuns, Runs: v.Runs, Paused: v.Paused, Note: v.Note,
	}
	if out.Overlap == "" {
		out.Overlap = string(job.OverlapAllow)
	}
	if r.Jitter > 0 {
		out.Jitter = isoDuration(r.Jitter)
	}
	if !v.LastFire.At.IsZero() {
		last := c.fire(v.LastFire)
		out.LastFire = &last
	}
	if v.Unreachable {
		out.Warnings = []string{control.WarnUnreachable}
	}
	return out
}

func (c call) webhook(v control.ScheduleView) *webhookResponse {
	w := v.Rule.Webhook
	if w == nil {
		return nil
	}
	out := &webhookResponse{Method: w.Method, Endpoint: w.Endpoint, Payload: w.Payload}
	if d := v.LastCall; d != nil {
		out.LastTime, out.LastMessage, out.LastDelivery = c.date(d.RoundAt), d.Error, d.ID
		if !d.FinishedAt.IsZero() {
			out.LastTime = c.date(d.FinishedAt)
		}
		if d.Code != 0 {
			out.LastStatus = strconv.Itoa(d.Code)
		}
		if d.Status == job.DeliveryDelivered {
			out.LastMessage = "Delivered"
		}
	}
	for _, name := range w.Headers {
		if out.Headers == nil {
			out.Headers = map[string]string{}
		}
		out.Headers[name] = ""
	}
	return out
}

func (c call) fire(f job.Fire) fireResponse {
	out := fireResponse{
		FireTime: c.date(f.At), TakenUp: c.date(f.FiredAt), Kind: string(f.Kind), Outcome: string(f.Outcome), Message: f.Message,
	}
	if f.JobID != "" {
		out.Job = &reference{ID: string(f.JobID), Href: c.href("jobs/" + string(f.JobID))}
	}
	return out
}
