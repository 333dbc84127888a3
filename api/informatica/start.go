package informatica

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/control"
	"waybill/internal/job"
)

// usualType is what a run presents that nobody said anything about.
const usualType = "MTT"

// jobBody is what a start takes.
type jobBody struct {
	TaskID          string       `json:"taskId,omitempty" doc:"objectId or id of the job config"`
	TaskFederatedID string       `json:"taskFederatedId,omitempty" doc:"The same"`
	TaskName        string       `json:"taskName,omitempty" doc:"Its name, in any letter case"`
	TaskType        string       `json:"taskType" doc:"DMASK, DRS, DSS, MAPPING, MTT, PCS or WORKFLOW, in any letter case"`
	CallbackURL     string       `json:"callbackURL,omitempty" doc:"Told once when the run has ended"`
	Runtime         *runtimeBody `json:"runtime,omitempty"`
}

type runtimeBody struct {
	File   string `json:"parameterFileName,omitempty"`
	Folder string `json:"parameterFileDir,omitempty"`
}

// stopBody is what a stop takes.
type stopBody struct {
	TaskID          string `json:"taskId,omitempty"`
	TaskFederatedID string `json:"taskFederatedId,omitempty"`
	TaskName        string `json:"taskName,omitempty"`
	TaskType        string `json:"taskType"`
	RunID           *int64 `json:"runId,omitempty" doc:"One run; without it all active ones"`
	CleanStop       bool   `json:"cleanStop,omitempty" doc:"true: the run may take five minutes to finish what it has in hand"`
}

// jobObject is a run that was started.
type jobObject struct {
	Type        string `json:"@type"`
	TaskID      string `json:"taskId"`
	TaskName    string `json:"taskName"`
	TaskType    string `json:"taskType"`
	RunID       int64  `json:"runId"`
	CallbackURL string `json:"callbackURL,omitempty"`
}

// startHeaders are the headers of a start.
type startHeaders struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"The same key within 24 hours gives the same run"`
}

type stopQuery struct {
	CleanStop string `query:"cleanStop" doc:"true: as the member of that name"`
}

func (d *door) jobRoutes() {
	const tag = "Jobs"
	operation(d, use{method: "POST", path: taskBase + "/job", summary: "Start a task", tag: tag}, d.start)
	operation(d, use{method: "POST", path: taskBase + "/job/stop", summary: "Stop the active runs of a task", tag: tag}, d.stop)
}

// taskNames are the three ways to name a task.
type taskNames struct{ id, federated, name string }

// maxReference bounds what names a task.
const maxReference = 255

func (n taskNames) check() error {
	if n.id == "" && n.federated == "" && n.name == "" {
		return badField("taskId, taskFederatedId or taskName is required")
	}
	for _, f := range []struct{ name, value string }{{"taskId", n.id}, {"taskFederatedId", n.federated}, {"taskName", n.name}} {
		if utf8.RuneCountInString(f.value) > maxReference {
			return badField("%s has at most %d characters", f.name, maxReference)
		}
	}
	return nil
}

// typeWord reads a taskType.
func typeWord(s string) (string, error) {
	if s == "" {
		return "", badField("taskType is required")
	}
	if word, known := job.TaskType(s); known {
		return word, nil
	}
	return "", job.Errorf(job.Invalid, wordTaskType, "taskType %s is not known", cut(s))
}

// cut is a client's own text as far as an error repeats it.
func cut(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "..."
	}
	return s
}

// task finds the config that all of the names mean.
func (c *call) task(ctx context.Context, n taskNames, v job.Verb) (found job.Config, err error) {
	configs := c.door.server.Configs
	for _, by := range []struct {
		ref  string
		find func(context.Context, job.Actor, string, job.Verb) (job.Config, error)
	}{{n.id, configs.For}, {n.federated, configs.For}, {n.name, configs.Named}} {
		ref := by.ref
		if ref == "" {
			continue
		}
		one, err := by.find(ctx, c.Actor, ref, v)
		if job.CodeOf(err) == job.NotFound {
			return found, job.Errorf(job.NotFound, job.WordNotFound, "Task %s not found", cut(ref))
		}
		if err != nil {
			return found, err
		}
		if found.ID != 0 && found.ID != one.ID {
			return found, badField("taskId, taskFederatedId and taskName name different tasks")
		}
		found = one
	}
	return found, nil
}

// checkType compares the type that a call names with the one that a config declares.
func checkType(c job.Config, as string) error {
	if declared := strings.ToUpper(c.Labels.TaskType); declared != "" && declared != as {
		return job.Errorf(job.Invalid, wordTaskType, "Task %s is of type %s", c.Name, declared)
	}
	return nil
}

func (d *door) start(ctx context.Context, c *call, in *startHeaders, b *jobBody) (*jobObject, error) {
	names := taskNames{b.TaskID, b.TaskFederatedID, b.TaskName}
	if err := names.check(); err != nil {
		return nil, err
	}
	r := control.SubmitRequest{
		Door: job.TriggerInformatica, IdempotencyKey: in.IdempotencyKey, ParameterFile: b.Runtime.key(), Caller: job.Caller{Request: c.Brought()},
	}
	if _, sent := c.HTTP.Header["Idempotency-Key"]; sent && in.IdempotencyKey == "" {
		return nil, badField("Idempotency-Key has 1 to 255 printable ASCII characters")
	}
	if b.CallbackURL != "" {
		if err := d.server.Deliveries.CheckURL(b.CallbackURL); err != nil {
			return nil, ofCallbackURL(err)
		}
		r.Callback = &job.Callback{
			URL: b.CallbackURL, Door: Name, Events: []string{job.EventJobCompleted, job.EventJobFailed, job.EventJobCancelled},
		}
	}
	var err error
	if r.TaskType, err = typeWord(b.TaskType); err != nil {
		return nil, err
	}
	task, err := c.task(ctx, names, job.Execute)
	if err != nil {
		return nil, err
	}
	r.Config = decimal(task.ID)
	r.Check = func(now job.Config) error { return checkType(now, r.TaskType) }
	r.Alone = !task.Rules.Blocking && task.Rules.Concurrency.Limit == 0
	made, err := d.server.Jobs.Submit(ctx, c.Actor, r)
	if err != nil {
		return nil, startRefused(task, err)
	}
	if made.Active {
		return nil, job.Errorf(job.Conflict, job.WordRunActive, "Task %s is already running (runId %d)", task.Name, made.Job.RunNumber)
	}
	if made.Skipped && made.Job.ConfigID != task.ID { // the place they share is another task's
		return nil, job.Errorf(job.Conflict, job.WordRunActive, "Task %s is not started: as many jobs of its key are there as may be at once", task.Name)
	}
	if made.Replayed {
		c.gin.Header("Idempotency-Replayed", "true")
	}
	return &jobObject{
		Type: "job", TaskID: task.ObjectID, TaskName: task.Name, TaskType: typeOf(made.Job), RunID: made.Job.RunNumber,
		CallbackURL: callbackOf(made.Job),
	}, nil
}

// ofCallbackURL says what is wrong with an address under the name that it has here.
func ofCallbackURL(err error) error {
	var fault *job.Error
	if errors.As(err, &fault) && strings.HasPrefix(fault.Message, "url ") {
		return job.Errorf(fault.Code, fault.Word, "callbackURL%s", strings.TrimPrefix(fault.Message, "url"))
	}
	return err
}

// key is a parameter file as a file key.
func (r *runtimeBody) key() string {
	if r == nil || r.File == "" {
		return ""
	}
	key := r.File
	if r.Folder != "" {
		key = strings.TrimSuffix(r.Folder, "/") + "/" + strings.TrimPrefix(r.File, "/")
	}
	return strings.TrimPrefix(key, "/")
}

// startRefused says in this door's words why a task was not started.
func startRefused(task job.Config, err error) error {
	switch job.WordOf(err) {
	case job.WordRunActive, job.WordConcurrencyLimit:
		return job.Wrap(err, job.Conflict, job.WordRunActive, "Task %s is already running", task.Name)
	case job.WordInactiveConfig:
		return job.Wrap(err, job.Conflict, job.WordInactiveConfig, "Task %s is not active", task.Name)
	}
	return err
}

// typeOf is the type a run presents.
func typeOf(j job.Job) string {
	if j.Spec.TaskType == "" {
		return usualType
	}
	return strings.ToUpper(j.Spec.TaskType)
}

// callbackOf is the address that was named at the start.
func callbackOf(j job.Job) string {
	for _, c := range j.Spec.Callbacks {
		if c.Door == Name {
			return c.URL
		}
	}
	return ""
}

// cleanGrace is what a clean stop leaves a program.
const cleanGrace = 5 * time.Minute

func (d *door) stop(ctx context.Context, c *call, in *stopQuery, b *stopBody) (*success, error) {
	names := taskNames{b.TaskID, b.TaskFederatedID, b.TaskName}
	if err := names.check(); err != nil {
		return nil, err
	}
	clean := b.CleanStop
	if in.CleanStop != "" {
		var err error
		if clean, err = strconv.ParseBool(in.CleanStop); err != nil {
			return nil, badField("cleanStop must be true or false")
		}
	}
	as, err := typeWord(b.TaskType)
	if err != nil {
		return nil, err
	}
	task, err := c.task(ctx, names, job.Execute)
	if err != nil {
		return nil, err
	}
	if err := checkType(task, as); err != nil {
		return nil, err
	}
	grace := time.Duration(0)
	if clean {
		grace = cleanGrace
	}
	return d.stopRuns(ctx, c, task, b.RunID, grace)
}

func (d *door) stopRuns(ctx context.Context, c *call, task job.Config, only *int64, grace time.Duration) (*success, error) {
	run := int64(0)
	if only != nil {
		if run = *only; run < 1 { // none has such a number
			return nil, notRunning(task)
		}
	}
	jobs, err := d.server.Jobs.StopActive(ctx, c.Actor, decimal(task.ID), run, grace)
	if err != nil {
		return nil, err
	}
	var stopped []string
	for _, j := range slices.Backward(jobs) {
		stopped = append(stopped, decimal(j.RunNumber))
	}
	if len(stopped) == 0 {
		return nil, notRunning(task)
	}
	return done("Stop requested for task %s, runId %s", task.Name, strings.Join(stopped, ", ")), nil
}

func notRunning(task job.Config) error {
	return job.Errorf(job.Conflict, wordNotRunning, "Task %s is not running", task.Name)
}
