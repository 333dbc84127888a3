package native

import (
	"encoding/json"
	"strconv"
	"time"

	"waybill/internal/job"
)

// jobResponse is the vendor's JobResponse with the additions of native.md, 6.
type jobResponse struct {
	ID                 string     `json:"id"`
	Href               string     `json:"href"`
	Status             string     `json:"status" doc:"WAITING, SEQUENCED, QUEUED, INITIALIZING, RUNNING, FINISHED, ERROR, FAILED or CANCELLED"`
	Reason             string     `json:"reason,omitempty"`
	Message            string     `json:"message,omitempty" doc:"Why it failed"`
	PackageName        string     `json:"packageName,omitempty"`
	PackageVersion     int        `json:"packageVersion,omitempty"`
	PackageSHA256      string     `json:"packageSha256,omitempty"`
	EntryPoint         string     `json:"entryPoint,omitempty"`
	Scheduled          string     `json:"scheduled,omitempty"`
	StartAfter         string     `json:"startAfter,omitempty" doc:"When a job that is WAITING is tried again"`
	Received           string     `json:"received,omitempty"`
	Started            string     `json:"started,omitempty"`
	Finished           string     `json:"finished,omitempty"`
	Duration           string     `json:"duration,omitempty"`
	ReturnCode         string     `json:"returnCode,omitempty"`
	RunNumber          int64      `json:"runNumber"`
	Attempt            int        `json:"attempt"`
	Lane               string     `json:"lane,omitempty" doc:"The durable queue it goes through"`
	Position           int        `json:"position,omitempty" doc:"Where it stands in its lane, 1 being the next; only when one job is asked for"`
	QueueUntil         string     `json:"queueUntil,omitempty" doc:"Until when a worker must have taken it"`
	Deadline           string     `json:"deadline,omitempty" doc:"Until when it must be over"`
	RetryOf            string     `json:"retryOf,omitempty"`
	RootJob            string     `json:"rootJob,omitempty"`
	RetryNumber        int        `json:"retryNumber,omitempty"`
	RetryScope         string     `json:"retryScope,omitempty" doc:"all, failed_step or failed_records; retries only"`
	Trigger            string     `json:"trigger,omitempty" doc:"api, schedule or retry"`
	TriggeredBy        *reference `json:"triggeredBy,omitempty" doc:"The user who, or as whom, it was started"`
	ResolvedByJob      string     `json:"resolvedByJob,omitempty"`
	ResolvedAt         string     `json:"resolvedAt,omitempty"`
	FinalDestinationID string     `json:"finalDestinationId,omitempty"`
	Destination        *reference `json:"destination,omitempty"`
	FinalDestination   *reference `json:"finalDestination,omitempty"`
	Worker             string     `json:"worker,omitempty" doc:"The worker that has or had it"`
	ServerID           string     `json:"serverId,omitempty" doc:"The same"`
	Sandbox            string     `json:"sandbox,omitempty" doc:"What held its program back, and the limits in force, in one line for people"`
	JobConfig          *reference `json:"jobConfig,omitempty"`
	JobLog             *reference `json:"jobLog,omitempty"`
	SubmittedByUser    *reference `json:"submittedByUser,omitempty"`
	StoppedByUser      *reference `json:"stoppedByUser,omitempty"`
	CurrentStep        string     `json:"currentStep,omitempty" doc:"The step that was begun last and goes on; only when one job is asked for"`
	Tags               []string   `json:"tags,omitempty"`

	OutMessages []messageResponse          `json:"outMessages,omitempty" doc:"Messages it gave, without their bodies; only when one job is asked for"`
	Outputs     map[string]json.RawMessage `json:"outputs,omitempty" doc:"Named values it gave; only when one job is asked for"`

	RecordsRead    int64    `json:"recordsRead"`
	RecordsWritten int64    `json:"recordsWritten"`
	RecordsFailed  int64    `json:"recordsFailed"`
	RecordsIgnored int64    `json:"recordsIgnored"`
	ErrorsOpen     int64    `json:"errorsOpen" doc:"Record errors that wait for a retry or a person"`
	ErrorsResolved int64    `json:"errorsResolved"`
	TraceID        string   `json:"traceId,omitempty" doc:"The OpenTelemetry trace it was started in"`
	Warnings       []string `json:"warnings,omitempty" doc:"engine_unreachable, no_worker; event_not_understood, event_limit, out_message_missing and what they are about"`

	Resources *packageResources `json:"resources,omitempty" doc:"What its config and its start ask for"`
}

// jobPage is a list of jobs: the envelope and the counts of all jobs the filter matches.
type jobPage struct {
	Page[jobResponse]
	Stats jobStatsResponse `json:"stats"`
}

// job shows a job as it is at the time of the call.
func (c call) job(j job.Job) jobResponse {
	id := string(j.ID)
	r := jobResponse{
		ID: id, Href: c.href("jobs/" + id), Status: statusWord(j, c.Time), Reason: string(j.Reason), Message: j.Message,
		PackageName: j.Spec.PackageName, PackageVersion: j.Spec.PackageVersion, PackageSHA256: j.Spec.PackageSHA256,
		EntryPoint: j.Spec.EntryPoint, Scheduled: c.date(j.ScheduledAt), Received: c.date(j.ReceivedAt), Started: c.date(j.StartedAt),
		Finished: c.date(j.FinishedAt), Duration: between(j.StartedAt, j.FinishedAt), ReturnCode: returnCode(j.ReturnCode),
		RunNumber: j.RunNumber, Attempt: max(1, j.Attempt), Lane: j.Lane, Position: j.Position,
		QueueUntil: c.date(j.QueueUntil()), Deadline: c.date(j.Deadline()), RetryOf: string(j.RetryOf), RootJob: string(j.Root),
		RetryNumber: j.RetryNumber, ResolvedByJob: string(j.ResolvedBy), ResolvedAt: c.date(j.ResolvedAt),
		FinalDestinationID: shownID(j.Destination), Destination: c.destination(j.Destination),
		FinalDestination: c.destination(j.Destination), Worker: j.Worker, ServerID: j.Worker, Sandbox: j.Sandbox, Resources: resourcesAsked(j.Spec.Resources),
		SubmittedByUser: c.user(j.SubmittedBy), StoppedByUser: c.user(j.StoppedBy), Tags: j.Tags,
		RetryScope: string(j.RetryScope), Trigger: string(j.Trigger), TriggeredBy: c.user(j.SubmittedBy),
		RecordsRead: j.Records.Read, RecordsWritten: j.Records.Written, RecordsFailed: j.Records.Failed,
		RecordsIgnored: j.Records.Ignored, ErrorsOpen: j.ErrorsOpen, ErrorsResolved: j.ErrorsResolved,
		TraceID: j.Spec.Trace.ID(), CurrentStep: j.CurrentStep, OutMessages: c.messages(j), Outputs: outputsShown(j.OutValues),
	}
	if j.Status == job.Queued {
		r.StartAfter = c.date(j.StartAfter)
	}
	if j.ConfigID != 0 {
		config := strconv.FormatInt(j.ConfigID, 10)
		r.JobConfig = &reference{ID: config, Name: j.ConfigName, Href: c.href("jobconfigs/" + config)}
	}
	if j.Taken {
		r.JobLog = &reference{Href: r.Href + "/log"}
	}
	if j.Unreachable && j.Status == job.Queued {
		r.Warnings = []string{"engine_unreachable"}
	}
	if !j.Status.Final() && c.look().NoWorker(j, c.Time) {
		r.Warnings = append(r.Warnings, noWorker)
		if j.Status == job.Queued {
			r.Reason = noWorker
		}
	}
	r.Warnings = append(r.Warnings, j.Warnings...)
	return r
}

// noWorker is what is said of a job that nobody is there to run. It is found out when the job is shown, not stored.
const noWorker = "no_worker"

// between is how long something took, "" unless it has begun and ended.
func between(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return isoDuration(to.Sub(from))
}

func returnCode(code *int) string {
	if code == nil {
		return ""
	}
	return strconv.Itoa(*code)
}
