package native

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/job"
)

// workerResponse is a process that runs programs (native.md, 3), with additions of ours.
type workerResponse struct {
	ID            string            `json:"id" doc:"As it stands on jobs and in Temporal"`
	Name          string            `json:"name"`
	Hostname      string            `json:"hostname"`
	PID           int               `json:"pid"`
	Version       string            `json:"version"`
	Destination   *reference        `json:"destination,omitempty"`
	Labels        map[string]string `json:"labels"`
	Runners       []string          `json:"runners" doc:"Kinds of programs it can run"`
	Sandbox       string            `json:"sandbox"`
	Concurrency   int               `json:"concurrency" doc:"Jobs it runs at once, at most"`
	RunningJobs   int               `json:"runningJobs"`
	Status        string            `json:"status" doc:"online, draining or offline"`
	Note          string            `json:"note,omitempty" doc:"Why it takes no jobs although nobody asked it to: disk_full"`
	Started       string            `json:"started"`
	LastHeartbeat string            `json:"lastHeartbeat"`
}

// WorkerPath is a worker in a path.
type WorkerPath struct {
	ID string `path:"id" doc:"Id of the worker"`
}

type (
	workerListInput struct{ ListParams }
	workerListReply struct{ Body Page[workerResponse] }
	workerReply     struct{ Body workerResponse }
)

func (d *door) workerRoutes() {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Workers"}}
	}
	drain := op("POST", "/workers/{id}/drain", "Ask a worker to take no more jobs and to end those it runs (admins)")
	drain.DefaultStatus = 202
	resume := op("POST", "/workers/{id}/resume", "Let a drained worker take jobs again (admins)")
	resume.DefaultStatus = 202
	operation(d, bearer, op("GET", "/workers", "List the workers that serve the account"), d.listWorkers)
	operation(d, bearer, drain, d.drainWorker)
	operation(d, bearer, resume, d.resumeWorker)
}

func (d *door) listWorkers(ctx context.Context, in *workerListInput) (*workerListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, listSpec{order: job.Sort{Property: "started"}, columns: []string{"id", "hostname"}})
	if err == nil {
		err = noCursor(l)
	}
	if err != nil {
		return nil, err
	}
	all, err := d.server.Workers.List(ctx, c.Actor)
	if err != nil {
		return nil, err
	}
	list, err := pageOfAll(all, l.query, "id", c.workerProperty)
	if err != nil {
		return nil, err
	}
	return &workerListReply{envelope(d, c.style, l, list, c.worker)}, nil
}

func (c call) workerProperty(w job.Worker) func(string) (any, error) {
	return func(name string) (any, error) {
		switch name {
		case "id", "name":
			return w.ID, nil
		case "hostname":
			return w.Hostname, nil
		case "version":
			return w.Version, nil
		case "status":
			return string(w.StatusAt(c.Time)), nil
		case "destination.id":
			return w.Destination, nil
		case "destination.name":
			return c.look().Name(w.Destination), nil
		case "concurrency":
			return int64(w.Concurrency), nil
		case "runningJobs":
			return int64(w.Running), nil
		case "runners":
			return slices.Clone(w.Runners), nil
		case "labels":
			return labelTexts(w.Labels), nil
		case "started":
			return timeOrNil(w.StartedAt), nil
		case "lastHeartbeat":
			return timeOrNil(w.BeatAt), nil
		}
		return nil, unknownProperty(name)
	}
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// labelTexts writes labels as a filter has them: zone=a.
func labelTexts(labels map[string]string) []string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, key+"="+labels[key])
	}
	return texts
}

func (d *door) drainWorker(ctx context.Context, in *WorkerPath) (*workerReply, error) {
	c := d.call(ctx)
	w, err := d.server.Workers.Drain(ctx, c.Actor, in.ID)
	return &workerReply{c.worker(w)}, err
}

func (d *door) resumeWorker(ctx context.Context, in *WorkerPath) (*workerReply, error) {
	c := d.call(ctx)
	w, err := d.server.Workers.Resume(ctx, c.Actor, in.ID)
	return &workerReply{c.worker(w)}, err
}

func (c call) worker(w job.Worker) workerResponse {
	r := workerResponse{
		ID: w.ID, Name: w.ID, Hostname: w.Hostname, PID: w.PID, Version: w.Version, Destination: c.destination(w.Destination),
		Labels: w.Labels, Runners: w.Runners, Sandbox: w.Sandbox, Concurrency: w.Concurrency, RunningJobs: w.Running,
		Status: string(w.StatusAt(c.Time)), Note: w.Note, Started: c.date(w.StartedAt), LastHeartbeat: c.date(w.BeatAt),
	}
	if r.Status == string(job.WorkerOffline) {
		r.RunningJobs = 0 // what it said last is true no more
	}
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	if r.Runners == nil {
		r.Runners = []string{}
	}
	return r
}
