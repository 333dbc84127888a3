package native

import (
	"context"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

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

	Overlap   string        `json:"overlap" doc:"While the job of an earlier fire is not final: allow, skip, queue_one or cancel_other; allow if not given"`
	CatchUp   string        `json:"catchUpWindow" doc:"How old a missed fire may be to be made up; 10m if not given"`
	Jitter    string        `json:"jitter" doc:"Fires come up to this much later"`
	StartDate member[any]   `json:"startDate" doc:"No fires before"`
	EndDate   member[any]   `json:"endDate" doc:"No fires after"`
	MaxRuns   member[int64] `json:"maxRuns" doc:"Jobs the schedule makes in all; 0: no limit"`
	Paused    bool          `json:"paused"`
	Note      string        `json:"note"`
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
}

// fireResponse is what came of a fire.
type fireResponse struct {
	FireTime string     `json:"fireTime" doc:"The time the schedule names"`
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

type (
	scheduleWriteInput struct {
		ConfigPath
		JSON body[scheduleRequest]
	}
	scheduleNoteInput struct {
		ConfigPath
		JSON optionalBody[noteRequest]
	}
	backfillInput struct {
		ConfigPath
		JSON body[backfillRequest]
	}
	countInput struct {
		ConfigPath
		Count whole `query:"count" doc:"1 to 100; 10 if not given"`
	}
	scheduleReply struct {
		Location string `header:"Location"`
		Body     scheduleResponse
	}
	backfillReply  struct{ Body backfillResponse }
	nextFiresReply struct {
		Body struct {
			Items []string `json:"items"`
		}
	}
	firesReply struct {
		Body struct {
			Items []fireResponse `json:"items"`
		}
	}
)

func (d *door) scheduleRoutes() {
	op := func(method, path, summary string, status int) huma.Operation {
		return huma.Operation{
			Method: method, Path: "/jobconfigs/{id}/schedule" + path, Summary: summary, Tags: []string{"Schedules"}, DefaultStatus: status,
		}
	}
	operation(d, bearer, op("GET", "", "Get the schedule of a job config", 200), d.getSchedule)
	operation(d, bearer, op("POST", "", "Give a job config its schedule", 201), d.createSchedule)
	operation(d, bearer, op("PUT", "", "Replace the schedule", 200), d.putSchedule)
	operation(d, bearer, op("DELETE", "", "Take the schedule away; jobs it made stay", 204), d.deleteSchedule)
	operation(d, bearer, op("POST", "/pause", "Pause the schedule", 200), d.pauseSchedule)
	operation(d, bearer, op("POST", "/resume", "Resume the schedule; what came due meanwhile is not made up", 200), d.resumeSchedule)
	operation(d, bearerOrBasic, op("POST", "/run", "Make the schedule fire now", 202), d.runSchedule)
	operation(d, bearer, op("POST", "/backfill", "Make the schedule fire for every time in a stretch of the past", 202), d.backfillSchedule)
	operation(d, bearer, op("GET", "/next", "List the next times at which the schedule fires", 200), d.nextFires)
	operation(d, bearer, op("GET", "/fires", "List what came of the last fires, newest first", 200), d.lastFires)
}

// input turns a request into what the use case takes.
func (r scheduleRequest) input() (control.ScheduleInput, error) {
	in := control.ScheduleInput{Paused: r.Paused, Note: r.Note, Rule: job.ScheduleRule{
		Name: r.Name, Kind: job.ScheduleKind(r.Type), Cron: r.Cron, Interval: r.Interval, Description: r.Description, Zone: r.TimeZone.ID,
		Overlap: job.Overlap(r.Overlap), MaxRuns: r.MaxRuns.Value,
	}}
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
		ResourceID: strconv.FormatInt(v.ConfigID, 10), ResourceType: "jobconfigs", Webhook: c.webhook(v.Schedule),
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

func (c call) webhook(s job.Schedule) *webhookResponse {
	w := s.Rule.Webhook
	if w == nil {
		return nil
	}
	out := &webhookResponse{Method: w.Method, Endpoint: w.Endpoint, Payload: w.Payload, LastMessage: s.Webhook.Message, LastTime: c.date(s.Webhook.At)}
	if s.Webhook.Status != 0 {
		out.LastStatus = strconv.Itoa(s.Webhook.Status)
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

func (d *door) getSchedule(ctx context.Context, in *ConfigPath) (*scheduleReply, error) {
	c := d.call(ctx)
	v, err := d.server.Schedules.Get(ctx, c.Actor, in.ID)
	return &scheduleReply{Body: c.schedule(v)}, err
}

func (d *door) createSchedule(ctx context.Context, in *scheduleWriteInput) (*scheduleReply, error) {
	c := d.call(ctx)
	input, err := in.JSON.Value.input()
	if err != nil {
		return nil, err
	}
	v, err := d.server.Schedules.Create(ctx, c.Actor, in.ID, input)
	if err != nil {
		return nil, err
	}
	shown := c.schedule(v)
	return &scheduleReply{Location: c.href("jobconfigs/" + shown.ResourceID + "/schedule"), Body: shown}, nil
}

func (d *door) putSchedule(ctx context.Context, in *scheduleWriteInput) (*scheduleReply, error) {
	c := d.call(ctx)
	input, err := in.JSON.Value.input()
	if err != nil {
		return nil, err
	}
	v, err := d.server.Schedules.Replace(ctx, c.Actor, in.ID, input)
	return &scheduleReply{Body: c.schedule(v)}, err
}

func (d *door) deleteSchedule(ctx context.Context, in *ConfigPath) (*noReply, error) {
	return &noReply{}, d.server.Schedules.Delete(ctx, d.call(ctx).Actor, in.ID)
}

func (d *door) pauseSchedule(ctx context.Context, in *scheduleNoteInput) (*scheduleReply, error) {
	c := d.call(ctx)
	v, err := d.server.Schedules.Pause(ctx, c.Actor, in.ID, in.JSON.Value.Note)
	return &scheduleReply{Body: c.schedule(v)}, err
}

func (d *door) resumeSchedule(ctx context.Context, in *scheduleNoteInput) (*scheduleReply, error) {
	c := d.call(ctx)
	v, err := d.server.Schedules.Resume(ctx, c.Actor, in.ID, in.JSON.Value.Note)
	return &scheduleReply{Body: c.schedule(v)}, err
}

func (d *door) runSchedule(ctx context.Context, in *ConfigPath) (*okReply, error) {
	return &okReply{}, d.server.Schedules.Run(ctx, d.call(ctx).Actor, in.ID)
}

func (d *door) backfillSchedule(ctx context.Context, in *backfillInput) (*backfillReply, error) {
	from, err := dateMember("from", in.JSON.Value.From)
	if err != nil {
		return nil, err
	}
	to, err := dateMember("to", in.JSON.Value.To)
	if err != nil {
		return nil, err
	}
	n, err := d.server.Schedules.Backfill(ctx, d.call(ctx).Actor, in.ID, from, to, job.Overlap(in.JSON.Value.Overlap))
	return &backfillReply{Body: backfillResponse{Fires: n}}, err
}

// maxCount is how many times or fires one call shows.
const maxCount = 100

func (w whole) count() (int, error) {
	if w == "" {
		return 10, nil
	}
	n, err := strconv.Atoi(string(w))
	if err != nil || n < 1 || n > maxCount {
		return 0, invalid("count is between 1 and %d", maxCount)
	}
	return n, nil
}

func (d *door) nextFires(ctx context.Context, in *countInput) (*nextFiresReply, error) {
	c := d.call(ctx)
	n, err := in.Count.count()
	if err != nil {
		return nil, err
	}
	times, err := d.server.Schedules.NextTimes(ctx, c.Actor, in.ID, n)
	reply := &nextFiresReply{}
	reply.Body.Items = make([]string, 0, len(times))
	for _, at := range times {
		reply.Body.Items = append(reply.Body.Items, c.date(at))
	}
	return reply, err
}

func (d *door) lastFires(ctx context.Context, in *countInput) (*firesReply, error) {
	c := d.call(ctx)
	n, err := in.Count.count()
	if err != nil {
		return nil, err
	}
	fires, err := d.server.Schedules.LastFires(ctx, c.Actor, in.ID, n)
	reply := &firesReply{}
	reply.Body.Items = make([]fireResponse, 0, len(fires))
	for _, f := range fires {
		reply.Body.Items = append(reply.Body.Items, c.fire(f))
	}
	return reply, err
}

// scheduleMember is what a job config request says of a schedule: a cron pattern in UTC, or nothing.
func (d *door) checkScheduleMember(m member[string]) error {
	if m.Value == "" {
		return nil
	}
	return d.server.Schedules.CheckCron(m.Value)
}

// scheduled shows configs with their next fires; set first makes the schedule what the request says.
func (d *door) scheduled(ctx context.Context, c call, m member[string], found job.Config) (jobConfigResponse, error) {
	if m.Set {
		if err := d.server.Schedules.SetCron(ctx, c.Actor, strconv.FormatInt(found.ID, 10), m.Value); err != nil {
			return jobConfigResponse{}, err
		}
	}
	show, err := d.withSchedules(ctx, c, []job.Config{found})
	return show(found), err
}

// withSchedules gives what shows configs with their next fires.
func (d *door) withSchedules(ctx context.Context, c call, configs []job.Config) (func(job.Config) jobConfigResponse, error) {
	ids := make([]int64, 0, len(configs))
	for _, one := range configs {
		ids = append(ids, one.ID)
	}
	views, err := d.server.Schedules.NextOf(ctx, c.Actor.AccountID, ids)
	return func(one job.Config) jobConfigResponse {
		shown := c.config(one)
		if v, ok := views[one.ID]; ok {
			shown.NextFireTime, shown.Schedule = c.date(v.Next), v.Rule.Cron
		}
		return shown
	}, err
}
