package informatica

import (
	"context"
	"strings"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/schedule"
)

// scheduleBody is what a schedule is made of; of an update, what is to change.
type scheduleBody struct {
	Name         *string `json:"name"`
	Description  *string `json:"description,omitempty"`
	StartTime    *string `json:"startTime,omitempty" doc:"Wall-clock time in timeZone, in spite of its Z"`
	StartTimeUTC *string `json:"startTimeUTC,omitempty" doc:"Goes before startTime"`
	EndTime      *string `json:"endTime,omitempty" doc:"Wall-clock time in timeZone"`
	Interval     *string `json:"interval" doc:"None, Minutely, Hourly, Daily, Weekly, Biweekly or Monthly"`
	Frequency    *int64  `json:"frequency,omitempty"`
	RangeStart   *string `json:"rangeStartTime,omitempty"`
	RangeEnd     *string `json:"rangeEndTime,omitempty"`
	Sun          *bool   `json:"sun,omitempty"`
	Mon          *bool   `json:"mon,omitempty"`
	Tue          *bool   `json:"tue,omitempty"`
	Wed          *bool   `json:"wed,omitempty"`
	Thu          *bool   `json:"thu,omitempty"`
	Fri          *bool   `json:"fri,omitempty"`
	Sat          *bool   `json:"sat,omitempty"`
	WeekDay      *bool   `json:"weekDay,omitempty" doc:"Daily: Monday to Friday only"`
	DayOfMonth   *int64  `json:"dayOfMonth,omitempty"`
	WeekOfMonth  *string `json:"weekOfMonth,omitempty" doc:"First, Second, Third, Fourth or Last"`
	DayOfWeek    *string `json:"dayOfWeek,omitempty" doc:"Sunday to Saturday"`
	TimeZone     *string `json:"timeZone,omitempty" doc:"IANA name; the account's if not given"`
}

// scheduleObject is a schedule of the account.
type scheduleObject struct {
	Type         string `json:"@type"`
	ID           string `json:"id"`
	OrgID        string `json:"orgId"`
	Name         string `json:"name"`
	Description  string `json:"description,omitempty"`
	CreateTime   string `json:"createTime"`
	UpdateTime   string `json:"updateTime"`
	CreatedBy    string `json:"createdBy"`
	UpdatedBy    string `json:"updatedBy"`
	StartTime    string `json:"startTime"`
	StartTimeUTC string `json:"startTimeUTC"`
	EndTime      string `json:"endTime,omitempty"`
	Interval     string `json:"interval"`
	Frequency    int    `json:"frequency"`
	RangeStart   string `json:"rangeStartTime,omitempty"`
	RangeEnd     string `json:"rangeEndTime,omitempty"`
	Sun          bool   `json:"sun"`
	Mon          bool   `json:"mon"`
	Tue          bool   `json:"tue"`
	Wed          bool   `json:"wed"`
	Thu          bool   `json:"thu"`
	Fri          bool   `json:"fri"`
	Sat          bool   `json:"sat"`
	WeekDay      bool   `json:"weekDay"`
	DayOfMonth   int    `json:"dayOfMonth,omitempty"`
	WeekOfMonth  string `json:"weekOfMonth,omitempty"`
	DayOfWeek    string `json:"dayOfWeek,omitempty"`
	TimeZone     string `json:"timeZone"`
}

type schedulePath struct {
	ID string `path:"id"`
}

type scheduleName struct {
	Name string `path:"name"`
}

type taskPath struct {
	ID string `path:"id" doc:"objectId or id of the job config"`
}

type taskBody struct {
	ScheduleID *string `json:"scheduleId" doc:"Empty text: none"`
}

type mtTaskObject struct {
	Type       string `json:"@type"`
	ID         string `json:"id"`
	OrgID      string `json:"orgId"`
	Name       string `json:"name"`
	ScheduleID string `json:"scheduleId,omitempty"`
}

func (d *door) scheduleRoutes() {
	at := func(method, path, summary string) use {
		return use{method: method, path: taskBase + path, summary: summary, tag: "Schedules"}
	}
	operation(d, at("GET", "/schedule", "List schedules"), d.schedules)
	operation(d, at("POST", "/schedule", "Make a schedule"), d.createSchedule)
	operation(d, at("GET", "/schedule/{id}", "Get a schedule"), d.schedule)
	operation(d, at("POST", "/schedule/{id}", "Change the members that are sent; all tasks on it follow"), d.changeSchedule)
	operation(d, at("DELETE", "/schedule/{id}", "Delete a schedule that no task is on"), d.deleteSchedule)
	operation(d, at("GET", "/schedule/name/{name}", "Find a schedule by its name"), d.scheduleByName)
	operation(d, at("POST", "/mttask/{id}", "Put a task on a schedule, or take it off"), d.putOnSchedule)
}

// shownTime reads a time as this door writes them; the zone is told elsewhere.
func shownTime(name, text string) (time.Time, error) {
	for _, form := range []string{"2006-01-02T15:04:05.999Z", "2006-01-02T15:04:05.999", "2006-01-02T15:04Z"} {
		if t, err := time.Parse(form, text); err == nil && t.Year() >= 1970 && t.Year() < 2100 {
			return t.Truncate(time.Second), nil
		}
	}
	return time.Time{}, badField("%s must be a time such as 2026-03-18T02:00:00.000Z", name)
}

// layTime lays a time over another one; empty text takes it away.
func layTime(name string, text *string, to *time.Time) (err error) {
	switch {
	case text == nil:
	case *text == "":
		*to = time.Time{}
	default:
		*to, err = shownTime(name, *text)
	}
	return err
}

func lay[T any](from *T, to *T) {
	if from != nil {
		*to = *from
	}
}

// over lays a body over what is stored.
func (b *scheduleBody) over(in control.SharedInput) (control.SharedInput, error) {
	p := &in.Plan
	start := p.Start
	lay(b.Name, &in.Name)
	lay(b.Description, &p.Description)
	lay(b.TimeZone, &p.Zone)
	lay(b.Interval, &p.Every)
	lay(b.WeekDay, &p.WorkDays)
	lay(b.WeekOfMonth, &p.WeekOfMonth)
	lay(b.DayOfWeek, &p.DayOfWeek)
	for i, day := range []*bool{b.Sun, b.Mon, b.Tue, b.Wed, b.Thu, b.Fri, b.Sat} {
		lay(day, &p.Days[i])
	}
	for _, t := range []struct {
		name string
		text *string
		to   *time.Time
	}{
		{"startTime", b.StartTime, &p.Start},
		{"startTimeUTC", b.StartTimeUTC, &in.StartUTC},
		{"endTime", b.EndTime, &p.End},
		{"rangeStartTime", b.RangeStart, &p.RangeStart},
		{"rangeEndTime", b.RangeEnd, &p.RangeEnd},
	} {
		if err := layTime(t.name, t.text, t.to); err != nil {
			return in, err
		}
	}
	p.Later = p.Later && p.Start.Equal(start) // another time on the wall is the first one again
	for _, n := range []struct {
		name string
		from *int64
		to   *int
	}{{"frequency", b.Frequency, &p.Frequency}, {"dayOfMonth", b.DayOfMonth, &p.DayOfMonth}} {
		if n.from != nil {
			if *n.from < 0 || *n.from > 1<<30 {
				return in, badField("%s must be a whole number, 1 or more", n.name)
			}
			*n.to = int(*n.from)
		}
	}
	return in, nil
}

func (d *door) scheduleOf(s job.SharedSchedule) *scheduleObject {
	p := s.Plan
	zone, err := schedule.Zone(p.Zone)
	if err != nil { // it was checked when it was stored
		zone = time.UTC
	}
	return &scheduleObject{
		Type: "schedule", ID: decimal(s.ID), OrgID: decimal(s.AccountID), Name: s.Name, Description: p.Description, CreateTime: utc(s.CreatedAt),
		UpdateTime: utc(s.ModifiedAt), CreatedBy: s.CreatedBy.Name, UpdatedBy: s.ModifiedBy, StartTime: utc(p.Start),
		StartTimeUTC: utc(control.StartOf(p, zone)), EndTime: utc(p.End), Interval: p.Every, Frequency: p.Frequency,
		RangeStart: utc(p.RangeStart), RangeEnd: utc(p.RangeEnd), Sun: p.Days[0], Mon: p.Days[1], Tue: p.Days[2], Wed: p.Days[3], Thu: p.Days[4],
		Fri: p.Days[5], Sat: p.Days[6], WeekDay: p.WorkDays, DayOfMonth: p.DayOfMonth, WeekOfMonth: p.WeekOfMonth, DayOfWeek: p.DayOfWeek,
		TimeZone: p.Zone,
	}
}

func (d *door) schedules(ctx context.Context, c *call, _ *none, _ *none) ([]*scheduleObject, error) {
	list, err := d.server.SharedSchedules.List(ctx, c.Actor)
	objects := make([]*scheduleObject, len(list))
	for i, s := range list {
		objects[i] = d.scheduleOf(s)
	}
	return objects, err
}

func (d *door) createSchedule(ctx context.Context, c *call, _ *none, b *scheduleBody) (*scheduleObject, error) {
	in, err := b.over(control.SharedInput{})
	if err != nil {
		return nil, err
	}
	s, err := d.server.SharedSchedules.Create(ctx, c.Actor, in)
	if err != nil {
		return nil, err
	}
	return d.scheduleOf(s), nil
}

func (d *door) schedule(ctx context.Context, c *call, in *schedulePath, _ *none) (*scheduleObject, error) {
	s, err := d.server.SharedSchedules.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	return d.scheduleOf(s), nil
}

func (d *door) changeSchedule(ctx context.Context, c *call, in *schedulePath, b *scheduleBody) (*scheduleObject, error) {
	s, err := d.server.SharedSchedules.Change(ctx, c.Actor, in.ID, func(s job.SharedSchedule) (control.SharedInput, error) {
		return b.over(control.SharedInput{Name: s.Name, Plan: s.Plan})
	})
	if err != nil {
		return nil, err
	}
	return d.scheduleOf(s), nil
}

func (d *door) deleteSchedule(ctx context.Context, c *call, in *schedulePath, _ *none) (*success, error) {
	return done("Schedule %s deleted", cut(in.ID)), d.server.SharedSchedules.Delete(ctx, c.Actor, in.ID)
}

func (d *door) scheduleByName(ctx context.Context, c *call, in *scheduleName, _ *none) (*scheduleObject, error) {
	s, err := d.server.SharedSchedules.Named(ctx, c.Actor, strings.TrimSpace(in.Name))
	if err != nil {
		return nil, err
	}
	return d.scheduleOf(s), nil
}

func (d *door) putOnSchedule(ctx context.Context, c *call, in *taskPath, b *taskBody) (*mtTaskObject, error) {
	if b.ScheduleID == nil {
		return nil, badField("scheduleId is required")
	}
	task, err := d.server.SharedSchedules.Put(ctx, c.Actor, in.ID, *b.ScheduleID)
	if job.CodeOf(err) == job.NotFound && task.ID == 0 {
		return nil, job.Errorf(job.NotFound, job.WordNotFound, "Task %s not found", cut(in.ID))
	}
	if err != nil {
		return nil, err
	}
	return &mtTaskObject{Type: "mtTask", ID: task.ObjectID, OrgID: decimal(task.AccountID), Name: task.Name, ScheduleID: *b.ScheduleID}, nil
}
