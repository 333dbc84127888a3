package native

import (
	"context"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/job"
)

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
