package control

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// Schedules is what can be done with the schedule of a job config. The row comes first: a change is stored, and told to the
// engine then or, when that does not answer, by the keeper later.
type Schedules struct {
	Configs *Configs
	Store   ScheduleStore
	Fires   FireStore
	Backlog ScheduleBacklog
	Engine  ScheduleEngine
	Sealer  Sealer
	Now     Clock
	Log     *slog.Logger
	// SubMinute lets cron patterns fire more than once a minute.
	SubMinute bool
	// CheckURL refuses addresses a webhook must not call; nil refuses none.
	CheckURL func(address string) error
}

// ScheduleInput is a whole schedule as a caller gives it.
type ScheduleInput struct {
	Rule    job.ScheduleRule
	Headers map[string]string // of the webhook, in clear; one without a value keeps the stored one
	Paused  bool
	Note    string
}

// ScheduleView is a schedule with what is reckoned from it.
type ScheduleView struct {
	job.Schedule
	Times       schedule.Times
	Next        time.Time // zero: never again, or not while it is paused
	LastFire    job.Fire
	Unreachable bool // the engine has not been told of the last change
}

// WarnUnreachable is the warning of a change that the engine has not been told of.
const WarnUnreachable = "engine_unreachable"

// TimesOf is when a schedule fires. A stored one can be read: it was when it was stored.
func TimesOf(r job.ScheduleRule) (schedule.Times, error) {
	if r.Kind == job.IntervalSchedule {
		return schedule.Interval(r.Interval, r.Start)
	}
	zone, err := schedule.Zone(r.Zone)
	if err != nil {
		return schedule.Times{}, err
	}
	return schedule.Cron(r.Cron, zone)
}

// nextOf is the next time at which a schedule makes a job, as far as it alone decides.
func nextOf(s job.Schedule, times schedule.Times, now time.Time, n int) []time.Time {
	if s.Paused || s.Exhausted() {
		return nil
	}
	if left := s.Rule.MaxRuns - s.Runs; s.Rule.MaxRuns > 0 && int64(n) > left {
		n = int(left)
	}
	after := now
	if first := s.Rule.Start.Add(-time.Second); !s.Rule.Start.IsZero() && first.After(after) {
		after = first
	}
	return times.List(after, s.Rule.End, n)
}

func (s *Schedules) view(sch job.Schedule) (ScheduleView, error) {
	v := ScheduleView{Schedule: sch, Unreachable: sch.Synced != sch.Version}
	var err error
	if v.Times, err = TimesOf(sch.Rule); err != nil {
		return v, err
	}
	if next := nextOf(sch, v.Times, s.Now(), 1); len(next) > 0 {
		v.Next = next[0]
	}
	return v, nil
}

// Get finds the schedule of a config.
func (s *Schedules) Get(ctx context.Context, a job.Actor, ref string) (ScheduleView, error) {
	c, err := s.Configs.Get(ctx, a, ref)
	if err != nil {
		return ScheduleView{}, err
	}
	sch, err := s.Store.Schedule(ctx, a.AccountID, c.ID)
	if err != nil {
		return ScheduleView{}, err
	}
	last, err := s.Fires.Fires(ctx, a.AccountID, c.ID, 1)
	if err != nil {
		return ScheduleView{}, err
	}
	v, err := s.view(sch)
	v.Unreachable = false // it is the answer to a change that warns
	if len(last) > 0 {
		v.LastFire = last[0]
	}
	return v, err
}

// Create gives a config its schedule.
func (s *Schedules) Create(ctx context.Context, a job.Actor, ref string, in ScheduleInput) (ScheduleView, error) {
	c, err := s.Configs.Get(ctx, a, ref)
	if err != nil {
		return ScheduleView{}, err
	}
	if _, err := s.Store.Schedule(ctx, a.AccountID, c.ID); err == nil {
		return ScheduleView{}, job.Errorf(job.Conflict, job.WordScheduleExists, "Job config %d already has a schedule", c.ID)
	} else if job.CodeOf(err) != job.NotFound {
		return ScheduleView{}, err
	}
	now := s.stamp()
	sch := job.Schedule{ConfigID: c.ID, AccountID: a.AccountID, CreatedAt: now, ModifiedAt: now}
	if err := s.fill(ctx, &sch, in); err != nil {
		return ScheduleView{}, err
	}
	if sch, err = s.Store.CreateSchedule(ctx, sch); err != nil {
		return ScheduleView{}, err
	}
	return s.told(ctx, c, sch)
}

// Replace sets all of a schedule.
func (s *Schedules) Replace(ctx context.Context, a job.Actor, ref string, in ScheduleInput) (ScheduleView, error) {
	return s.change(ctx, a, ref, func(sch *job.Schedule) (bool, error) {
		limit := sch.Rule.MaxRuns
		err := s.fill(ctx, sch, in)
		// A new limit is counted from now on; the same one goes on being counted.
		return limit != sch.Rule.MaxRuns, err
	})
}

// maxNote is the length of a note in characters.
const maxNote = 1000

// Pause keeps a schedule from firing until Resume.
func (s *Schedules) Pause(ctx context.Context, a job.Actor, ref, note string) (ScheduleView, error) {
	return s.setPaused(ctx, a, ref, true, note)
}

// Resume lets a paused schedule fire again. What came due meanwhile is not made up for.
func (s *Schedules) Resume(ctx context.Context, a job.Actor, ref, note string) (ScheduleView, error) {
	return s.setPaused(ctx, a, ref, false, note)
}

func (s *Schedules) setPaused(ctx context.Context, a job.Actor, ref string, paused bool, note string) (ScheduleView, error) {
	if !printable(note, maxNote) {
		return ScheduleView{}, invalidField("note has at most %d characters and no control characters", maxNote)
	}
	return s.change(ctx, a, ref, func(sch *job.Schedule) (bool, error) {
		sch.Paused, sch.Note = paused, note
		return false, nil
	})
}

// change edits the stored schedule, again when somebody else was faster, and tells the engine.
func (s *Schedules) change(ctx context.Context, a job.Actor, ref string, edit func(*job.Schedule) (reset bool, err error)) (ScheduleView, error) {
	c, err := s.Configs.Get(ctx, a, ref)
	if err != nil {
		return ScheduleView{}, err
	}
	const tries = 5
	for try := 1; ; try++ {
		sch, err := s.Store.Schedule(ctx, a.AccountID, c.ID)
		if err != nil {
			return ScheduleView{}, err
		}
		reset, err := edit(&sch)
		if err != nil {
			return ScheduleView{}, err
		}
		sch.ModifiedAt = s.stamp()
		sch, err = s.Store.UpdateSchedule(ctx, sch, reset)
		if err == nil {
			return s.told(ctx, c, sch)
		}
		if job.WordOf(err) != job.WordStale || try == tries {
			return ScheduleView{}, err
		}
	}
}

// Delete takes a config's schedule away. Jobs it made stay.
func (s *Schedules) Delete(ctx context.Context, a job.Actor, ref string) error {
	c, err := s.Configs.Get(ctx, a, ref)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteSchedule(ctx, a.AccountID, c.ID); err != nil {
		return err
	}
	s.Forget(ctx, []int64{c.ID})
	return nil
}

// Forget tells the engine of configs that have no schedule any more. What it can not be told now the keeper finds.
func (s *Schedules) Forget(ctx context.Context, configs []int64) {
	for _, id := range configs {
		if err := s.Engine.DeleteSchedule(context.WithoutCancel(ctx), id); err != nil {
			s.Log.WarnContext(ctx, "the engine still has the schedule of a job config that has none", "config", id, "error", err)
			return
		}
	}
}

// Run makes the schedule fire now, by its own overlap.
func (s *Schedules) Run(ctx context.Context, a job.Actor, ref string) error {
	v, err := s.Get(ctx, a, ref)
	if err != nil {
		return err
	}
	return s.Engine.FireNow(ctx, v.ConfigID)
}

// maxBackfill is how many fires one backfill may make.
const maxBackfill = 1000

// Backfill makes the schedule fire for every time it names between from and to.
func (s *Schedules) Backfill(ctx context.Context, a job.Actor, ref string, from, to time.Time, overlap job.Overlap) (int, error) {
	v, err := s.Get(ctx, a, ref)
	if err != nil {
		return 0, err
	}
	now := s.Now().UTC()
	switch {
	case from.IsZero() || to.IsZero():
		return 0, job.Errorf(job.Invalid, job.WordMissingField, "from and to are required")
	case to.Before(from) || to.After(now):
		return 0, invalidField("from is not after to, and to is not in the future")
	case !validOverlap(overlap):
		return 0, invalidField("overlap is allow, skip, queue_one or cancel_other")
	}
	if overlap == "" {
		overlap = v.Rule.Overlap
	}
	from, to = from.UTC().Truncate(time.Second), to.UTC().Truncate(time.Second)
	due := len(v.Times.List(from.Add(-time.Second), to, maxBackfill+1))
	if due > maxBackfill {
		return 0, invalidField("from and to hold more than %d fires", maxBackfill)
	}
	if due == 0 {
		return 0, nil
	}
	_, err = s.change(ctx, a, ref, func(sch *job.Schedule) (bool, error) {
		sch.Backfills = append(sch.Backfills, job.Backfill{From: from, To: to})
		if over := len(sch.Backfills) - job.MaxBackfills; over > 0 {
			sch.Backfills = slices.Delete(sch.Backfills, 0, over)
		}
		return false, nil
	})
	if err != nil {
		return 0, err
	}
	return due, s.Engine.Backfill(ctx, v.ConfigID, from, to, overlap)
}

// NextTimes lists the times at which the schedule will fire.
func (s *Schedules) NextTimes(ctx context.Context, a job.Actor, ref string, n int) ([]time.Time, error) {
	v, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	return nextOf(v.Schedule, v.Times, s.Now(), n), nil
}

// LastFires lists what came of the last fires, newest first.
func (s *Schedules) LastFires(ctx context.Context, a job.Actor, ref string, n int) ([]job.Fire, error) {
	v, err := s.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	return s.Fires.Fires(ctx, a.AccountID, v.ConfigID, n)
}

// NextOf tells, for those of the configs that have a schedule which fires again, when.
func (s *Schedules) NextOf(ctx context.Context, account int64, configs []int64) (map[int64]ScheduleView, error) {
	list, err := s.Store.SchedulesOf(ctx, account, configs)
	if err != nil {
		return nil, err
	}
	views := make(map[int64]ScheduleView, len(list))
	for _, sch := range list {
		v, err := s.view(sch)
		if err != nil {
			return nil, err
		}
		views[sch.ConfigID] = v
	}
	return views, nil
}

// told tells the engine of a change that is stored.
func (s *Schedules) told(ctx context.Context, c job.Config, sch job.Schedule) (ScheduleView, error) {
	if err := s.tell(ctx, c, sch); err != nil {
		s.Log.WarnContext(ctx, "a schedule is stored but the engine has not been told", "config", c.ID, "error", err)
	} else {
		sch.Synced = sch.Version
	}
	return s.view(sch)
}

func (s *Schedules) tell(ctx context.Context, c job.Config, sch job.Schedule) error {
	times, err := TimesOf(sch.Rule)
	if err != nil {
		return err
	}
	if err := s.Engine.PutSchedule(ctx, engineSchedule(c, sch, times)); err != nil {
		return err
	}
	return s.Backlog.MarkSynced(context.WithoutCancel(ctx), sch.ConfigID, sch.Version)
}

func engineSchedule(c job.Config, sch job.Schedule, times schedule.Times) EngineSchedule {
	r := sch.Rule
	e := EngineSchedule{
		ConfigID: sch.ConfigID, AccountID: sch.AccountID, ConfigName: c.Name, Plan: times.Plan(), Overlap: r.Overlap, CatchUp: r.CatchUpWindow(),
		Jitter: r.Jitter, Start: r.Start, End: r.End, Paused: sch.Paused, Note: sch.Note,
	}
	if e.Summary = r.Interval; r.Kind == job.CronSchedule {
		e.Summary = strings.TrimSpace(r.Cron + " " + r.Zone)
	}
	if !sch.Paused && sch.Exhausted() {
		e.Paused, e.Note = true, exhaustedNote
	}
	return e
}

// exhaustedNote is the engine's note on a schedule that has made all its runs.
const exhaustedNote = "All runs of the schedule have been made"

func (s *Schedules) stamp() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func validOverlap(o job.Overlap) bool {
	switch o {
	case "", job.OverlapAllow, job.OverlapSkip, job.OverlapQueueOne, job.OverlapCancelOther:
		return true
	}
	return false
}

// Limits of a schedule.
const (
	minCatchUp = 10 * time.Second // the engine takes none shorter
	maxCatchUp = 366 * 24 * time.Hour
	maxJitter  = 24 * time.Hour
)

// fill lays the input over a schedule and checks it.
func (s *Schedules) fill(ctx context.Context, sch *job.Schedule, in ScheduleInput) error {
	r := in.Rule
	switch {
	case !printable(r.Name, maxName):
		return invalidField("name has at most %d characters and no control characters", maxName)
	case len([]rune(r.Description)) > maxDescription || strings.ContainsRune(r.Description, 0):
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	case !printable(in.Note, maxNote):
		return invalidField("note has at most %d characters and no control characters", maxNote)
	case !validOverlap(r.Overlap):
		return invalidField("overlap is allow, skip, queue_one or cancel_other")
	case r.CatchUp != 0 && (r.CatchUp < minCatchUp || r.CatchUp > maxCatchUp):
		return invalidField("catchUpWindow is between 10 seconds and a year")
	case r.Jitter < 0 || r.Jitter > maxJitter:
		return invalidField("jitter is between 0 and a day")
	case r.MaxRuns < 0:
		return invalidField("maxRuns is 1 or more, or 0 for no limit")
	case !r.Start.IsZero() && !r.End.IsZero() && r.End.Before(r.Start):
		return invalidField("endDate is not before startDate")
	}
	if err := s.checkTimes(&r); err != nil {
		return err
	}
	if err := s.fillWebhook(ctx, &r, sch.Rule.Webhook, in.Headers); err != nil {
		return err
	}
	sch.Rule, sch.Paused, sch.Note = r, in.Paused, in.Note
	return nil
}

func (s *Schedules) checkTimes(r *job.ScheduleRule) error {
	if _, err := schedule.Zone(r.Zone); err != nil {
		return err
	}
	if r.Kind == "" && r.Interval == "" {
		r.Kind = job.CronSchedule
	}
	switch r.Kind {
	case job.CronSchedule:
		if r.Cron == "" {
			return job.Errorf(job.Invalid, job.WordMissingField, "cronSchedule is required")
		}
		r.Interval = ""
	case job.IntervalSchedule, "":
		if r.Interval == "" {
			return job.Errorf(job.Invalid, job.WordMissingField, "intervalFrequency is required")
		}
		r.Kind, r.Cron = job.IntervalSchedule, ""
	default:
		return invalidField("type is cron or interval")
	}
	r.Start, r.End = r.Start.UTC().Truncate(time.Second), r.End.UTC().Truncate(time.Second)
	times, err := TimesOf(*r)
	if err != nil {
		return err
	}
	if times.SubMinute() && !s.SubMinute {
		return job.Errorf(job.Invalid, job.WordInvalidCron, "cronSchedule fires more than once a minute")
	}
	if r.Kind == job.CronSchedule && times.Next(s.Now()).IsZero() {
		return job.Errorf(job.Invalid, job.WordInvalidCron, "cronSchedule never fires")
	}
	return nil
}

// Limits of a webhook.
const (
	maxEndpoint = 2048
	maxPayload  = 64 << 10
	maxHeaders  = 50
	maxHeader   = 4096
)

func (s *Schedules) fillWebhook(ctx context.Context, r *job.ScheduleRule, had *job.Webhook, headers map[string]string) error {
	w := r.Webhook
	if w == nil {
		return nil
	}
	if w.Method = strings.ToUpper(w.Method); w.Method == "" {
		w.Method = "POST"
	}
	u, err := url.Parse(w.Endpoint)
	switch {
	case w.Method != "GET" && w.Method != "POST" && w.Method != "PUT":
		return invalidField("webhookConfig.method is GET, POST or PUT")
	case w.Endpoint == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "webhookConfig.endpoint is required")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(w.Endpoint) > maxEndpoint:
		return invalidField("webhookConfig.endpoint is an http or https address without credentials")
	case len(w.Payload) > maxPayload || strings.ContainsRune(w.Payload, 0):
		return invalidField("webhookConfig.payload has at most %d bytes and no NUL", maxPayload)
	case len(headers) > maxHeaders:
		return invalidField("webhookConfig.headers has more than %d entries", maxHeaders)
	}
	if s.CheckURL != nil {
		if err := s.CheckURL(w.Endpoint); err != nil {
			return err
		}
	}
	return s.sealHeaders(w, had, headers)
}

// sealHeaders stores the headers as one sealed text. To open the stored ones nothing here has the key, so those that are repeated
// without a value are kept only all together.
func (s *Schedules) sealHeaders(w, had *job.Webhook, headers map[string]string) error {
	w.Headers, w.Sealed = nil, ""
	if len(headers) == 0 {
		return nil
	}
	kept := 0
	for name, value := range headers {
		if !headerName(name) || reserved(name) || len(name) > maxHeader || len(value) > maxHeader || strings.ContainsAny(value, "\r\n\x00") {
			return invalidField("webhookConfig.headers: '%s' is not a header, or its value has more than %d bytes or a line break", short(name), maxHeader)
		}
		if value == "" {
			kept++
		}
		w.Headers = append(w.Headers, name)
	}
	slices.Sort(w.Headers)
	if kept > 0 {
		if had == nil || kept < len(headers) || !slices.Equal(had.Headers, w.Headers) {
			return invalidField("webhookConfig.headers: give all values, or the same names without any to keep the stored ones")
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

// CheckCron tells whether a pattern may be a schedule in UTC.
func (s *Schedules) CheckCron(cron string) error {
	r := job.ScheduleRule{Kind: job.CronSchedule, Cron: cron}
	return s.checkTimes(&r)
}

// SetCron gives a config a schedule in UTC by its pattern alone, or changes the pattern of the one it has; "" takes it away. A pattern that
// is the schedule's already changes nothing, so that a client may send back what it read.
func (s *Schedules) SetCron(ctx context.Context, a job.Actor, ref, cron string) error {
	v, err := s.Get(ctx, a, ref)
	switch {
	case job.CodeOf(err) == job.NotFound && cron == "":
		return nil
	case job.CodeOf(err) == job.NotFound:
		_, err = s.Create(ctx, a, ref, ScheduleInput{Rule: job.ScheduleRule{Kind: job.CronSchedule, Cron: cron}})
		return err
	case err != nil:
		return err
	case cron == "":
		return s.Delete(ctx, a, ref)
	case v.Rule.Kind == job.CronSchedule && v.Rule.Cron == cron:
		return nil
	}
	_, err = s.change(ctx, a, ref, func(sch *job.Schedule) (bool, error) {
		r := sch.Rule
		r.Kind, r.Cron, r.Interval, r.Zone = job.CronSchedule, cron, "", ""
		err := s.checkTimes(&r)
		sch.Rule = r
		return false, err
	})
	return err
}
