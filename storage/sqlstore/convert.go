package sqlstore

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/job"
)

// micros is how a time is stored; the zero time has no number and is stored as NULL, see microsOrNull.
func micros(t time.Time) int64 { return t.UnixMicro() }

func microsOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.UnixMicro()
	return &n
}

func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func timeOrZero(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return timeOf(*micros)
}

// fold is how texts are compared without regard to case. It is computed here, not by the engines: SQLite folds ASCII
// only, and PostgreSQL by the locale it was set up with.
func fold(s string) string { return strings.ToLower(s) }

// foldOrNull is what a _fold column holds.
func foldOrNull(s string) *string {
	if f := fold(s); f != s {
		return &f
	}
	return nil
}

// textOrNull is a text, or NULL for an empty one.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func textOrEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// clean makes a text that programs or file systems gave us storable: PostgreSQL takes neither NUL nor broken UTF-8.
func clean(s string) string {
	if utf8.ValidString(s) && !strings.ContainsRune(s, 0) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// checkText refuses what PostgreSQL can not store, on both engines. Fields come as name, value pairs.
func checkText(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if clean(pairs[i+1]) != pairs[i+1] {
			return job.Errorf(job.Invalid, job.WordInvalidField, "%s holds a character that can not be stored", pairs[i])
		}
	}
	return nil
}

// toJSON writes what the domain holds in a column; none of those types can fail to marshal.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sqlstore: " + err.Error())
	}
	return string(b)
}

func fromJSON(text string, into any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

func tagsJSON(tags []string) string {
	if len(tags) == 0 {
		return "[]"
	}
	return toJSON(tags)
}

func tagsOf(text string) ([]string, error) {
	if text == "[]" {
		return nil, nil
	}
	var tags []string
	err := fromJSON(text, &tags)
	return tags, err
}

func toConfigRow(c job.Config) configRow {
	return configRow{
		ID: c.ID, ObjectID: c.ObjectID, AccountID: c.AccountID,
		Name: c.Name, NameKey: fold(c.Name),
		Description: c.Description, DescriptionFold: foldOrNull(c.Description),
		Active: c.Active, Runtime: toJSON(c.Runtime),
		PackageName: c.Runtime.PackageName, PackageNameFold: foldOrNull(c.Runtime.PackageName),
		EntryPoint: c.Runtime.EntryPoint, EntryPointFold: foldOrNull(c.Runtime.EntryPoint),
		DestinationID: c.Destination, Timeout: int64(c.Timeout), Retry: toJSON(c.Retry), OnLoss: string(c.OnLoss),
		Tags: tagsJSON(c.Tags), Labels: toJSON(c.Labels), Rules: toJSON(c.Rules),
		OwnerID: c.Owner.ID, OwnerName: c.Owner.Name, OwnerNameFold: foldOrNull(c.Owner.Name),
		CreatedAt: micros(c.CreatedAt), CreatedByID: c.CreatedBy.ID, CreatedByName: c.CreatedBy.Name,
		CreatedByFold: foldOrNull(c.CreatedBy.Name),
		ModifiedAt:    micros(c.ModifiedAt), ModifiedByID: c.ModifiedBy.ID, ModifiedByName: c.ModifiedBy.Name,
		ModifiedByFold: foldOrNull(c.ModifiedBy.Name),
		KeepAge:        int64(c.Rules.Retention.MaxAge), KeepCount: int64(c.Rules.Retention.MaxCount),
	}
}

func (r configRow) config() (job.Config, error) {
	c := job.Config{
		ID: r.ID, ObjectID: r.ObjectID, AccountID: r.AccountID, Name: r.Name, Description: r.Description,
		Active: r.Active, Destination: r.DestinationID, Timeout: time.Duration(r.Timeout), OnLoss: job.WorkerLoss(r.OnLoss),
		Owner:     job.UserRef{ID: r.OwnerID, Name: r.OwnerName},
		CreatedAt: timeOf(r.CreatedAt), CreatedBy: job.UserRef{ID: r.CreatedByID, Name: r.CreatedByName},
		ModifiedAt: timeOf(r.ModifiedAt), ModifiedBy: job.UserRef{ID: r.ModifiedByID, Name: r.ModifiedByName},
	}
	var err error
	if c.Tags, err = tagsOf(r.Tags); err != nil {
		return c, err
	}
	if err = fromJSON(r.Runtime, &c.Runtime); err != nil {
		return c, err
	}
	if err = fromJSON(r.Retry, &c.Retry); err != nil {
		return c, err
	}
	if err = fromJSON(r.Rules, &c.Rules); err != nil {
		return c, err
	}
	return c, fromJSON(r.Labels, &c.Labels)
}

func toFileRow(f job.File) fileRow {
	row := fileRow{
		AccountID: f.AccountID, EntityType: string(f.EntityType), EntityID: f.EntityID, FileKey: f.Key, Version: f.Version,
		Size: f.Size, SHA256: f.SHA256, ContentType: f.ContentType,
		CreatedAt: micros(f.CreatedAt), CreatedByID: f.CreatedBy.ID, CreatedByName: f.CreatedBy.Name,
	}
	if f.Archive != nil {
		row.Archive = toJSON(f.Archive)
	}
	return row
}

func (r fileRow) file() (job.File, error) {
	f := job.File{
		AccountID: r.AccountID, EntityType: job.EntityType(r.EntityType), EntityID: r.EntityID, Key: r.FileKey,
		Version: r.Version, Size: r.Size, SHA256: r.SHA256, ContentType: r.ContentType,
		CreatedAt: timeOf(r.CreatedAt), CreatedBy: job.UserRef{ID: r.CreatedByID, Name: r.CreatedByName},
	}
	if r.Archive == "" {
		return f, nil
	}
	f.Archive = &job.Archive{}
	return f, fromJSON(r.Archive, f.Archive)
}

func toJobRow(j job.Job) jobRow {
	spec := j.Spec
	spec.Macros, spec.Files, spec.InMessages, spec.Inputs = nil, nil, nil, nil
	return jobRow{
		ID: string(j.ID), AccountID: j.AccountID, ConfigID: j.ConfigID,
		ConfigName: j.ConfigName, ConfigNameFold: foldOrNull(j.ConfigName),
		OwnerID: j.OwnerID, RunNumber: j.RunNumber, Status: string(j.Status), Reason: string(j.Reason), Taken: j.Taken,
		Fence: j.Fence, Change: j.Change, Worker: j.Worker, WorkerFold: foldOrNull(j.Worker),
		Spec: toJSON(spec), HasInputs: len(j.Spec.Macros) > 0 || len(j.Spec.Files) > 0 || len(j.Spec.InMessages) > 0 || len(j.Spec.Inputs) > 0,
		PackageName: j.Spec.PackageName, PackageNameFold: foldOrNull(j.Spec.PackageName),
		EntryPoint: j.Spec.EntryPoint, EntryPointFold: foldOrNull(j.Spec.EntryPoint),
		DestinationID: j.Destination, Tags: tagsJSON(j.Tags),
		Attempt: j.Attempt, Failures: j.Failures, ReturnCode: j.ReturnCode, Message: j.Message,
		ScheduledAt: micros(j.ScheduledAt), StartAfter: microsOrNull(j.StartAfter), ReceivedAt: microsOrNull(j.ReceivedAt),
		StartedAt: microsOrNull(j.StartedAt), FinishedAt: microsOrNull(j.FinishedAt),
		SubmittedByID: j.SubmittedBy.ID, SubmittedByName: j.SubmittedBy.Name, SubmittedByFold: foldOrNull(j.SubmittedBy.Name),
		StoppedByID: j.StoppedBy.ID, StoppedByName: j.StoppedBy.Name, StoppedByFold: foldOrNull(j.StoppedBy.Name),
		RetryOf: string(j.RetryOf), Root: string(j.Root), RetryNumber: j.RetryNumber,
		ResolvedBy: string(j.ResolvedBy), ResolvedAt: microsOrNull(j.ResolvedAt),
		Unreachable: j.Unreachable, WrittenAt: micros(j.ScheduledAt),
		Lane: j.Lane, LaneSeq: j.LaneSeq, FiredAt: microsOrNull(j.FiredAt), Trigger: string(j.Trigger), RetryScope: string(j.RetryScope),
		RecordsRead: j.Records.Read, RecordsWritten: j.Records.Written, RecordsFailed: j.Records.Failed, RecordsIgnored: j.Records.Ignored,
		ErrorsOpen: j.ErrorsOpen, ErrorsResolved: j.ErrorsResolved, Warnings: warningsJSON(j.Warnings),
		Sandbox: clean(j.Sandbox), StopGrace: int64(j.StopGrace),
	}
}

func warningsJSON(warnings []string) string {
	if len(warnings) == 0 {
		return ""
	}
	return toJSON(warnings)
}

// job gives back the row without what lies in job_inputs.
func (r jobRow) job() (job.Job, error) {
	j := job.Job{
		ID: job.ID(r.ID), AccountID: r.AccountID, ConfigID: r.ConfigID, ConfigName: r.ConfigName, OwnerID: r.OwnerID,
		RunNumber: r.RunNumber, Status: job.Status(r.Status), Reason: job.Reason(r.Reason), Taken: r.Taken, Fence: r.Fence,
		Change: r.Change, Worker: r.Worker, Destination: r.DestinationID,
		Attempt: r.Attempt, Failures: r.Failures, ReturnCode: r.ReturnCode, Message: r.Message,
		ScheduledAt: timeOf(r.ScheduledAt), StartAfter: timeOrZero(r.StartAfter), ReceivedAt: timeOrZero(r.ReceivedAt),
		StartedAt: timeOrZero(r.StartedAt), FinishedAt: timeOrZero(r.FinishedAt),
		SubmittedBy: job.UserRef{ID: r.SubmittedByID, Name: r.SubmittedByName},
		StoppedBy:   job.UserRef{ID: r.StoppedByID, Name: r.StoppedByName},
		RetryOf:     job.ID(r.RetryOf), Root: job.ID(r.Root), RetryNumber: r.RetryNumber,
		ResolvedBy: job.ID(r.ResolvedBy), ResolvedAt: timeOrZero(r.ResolvedAt), Unreachable: r.Unreachable,
		Lane: r.Lane, LaneSeq: r.LaneSeq, FiredAt: timeOrZero(r.FiredAt), Trigger: job.Trigger(r.Trigger), RetryScope: job.RetryScope(r.RetryScope),
		Records:    job.Records{Read: r.RecordsRead, Written: r.RecordsWritten, Failed: r.RecordsFailed, Ignored: r.RecordsIgnored},
		ErrorsOpen: r.ErrorsOpen, ErrorsResolved: r.ErrorsResolved, Sandbox: r.Sandbox, StopGrace: time.Duration(r.StopGrace),
	}
	var err error
	if j.Tags, err = tagsOf(r.Tags); err != nil {
		return j, err
	}
	if err = fromJSON(r.Warnings, &j.Warnings); err != nil {
		return j, err
	}
	return j, fromJSON(r.Spec, &j.Spec)
}

func (r inputsRow) into(s *job.Spec) error {
	if err := fromJSON(r.Macros, &s.Macros); err != nil {
		return err
	}
	if err := fromJSON(r.Messages, &s.InMessages); err != nil {
		return err
	}
	return fromJSON(r.Files, &s.Files)
}

func toInputsRow(j job.Job) inputsRow {
	r := inputsRow{JobID: string(j.ID), Macros: toJSON(j.Spec.Macros), Files: toJSON(j.Spec.Files)}
	if len(j.Spec.InMessages) > 0 {
		r.Messages = toJSON(j.Spec.InMessages)
	}
	return r
}

func (r attemptRow) attempt() job.Attempt {
	return job.Attempt{
		Number: r.Number, Fence: r.Fence, Worker: r.Worker, StartedAt: timeOf(r.StartedAt),
		FinishedAt: timeOrZero(r.FinishedAt), ReturnCode: r.ReturnCode, Reason: job.Reason(r.Reason), Message: r.Message,
		Sandbox: r.Sandbox,
	}
}

func (r stepRow) step() job.Step {
	return job.Step{
		Index: r.Position, Name: r.Name, Status: job.Status(r.Status), Attempt: r.Attempt,
		StartedAt: timeOrZero(r.StartedAt), FinishedAt: timeOrZero(r.FinishedAt), ReturnCode: r.ReturnCode,
		RecordsRead: r.RecordsRead, RecordsWritten: r.RecordsWritten, RecordsFailed: r.RecordsFailed,
		RecordsIgnored: r.RecordsIgnored, ErrorsOpen: r.ErrorsOpen, ErrorsResolved: r.ErrorsResolved, Message: r.Message,
	}
}

func (r errorRow) recordError() (job.RecordError, error) {
	return job.RecordError{
		JobID: job.ID(r.JobID), RecordID: r.RecordID, Attempt: r.Attempt, Step: r.Step, Code: r.Code, Message: r.Message,
		TraceKey: r.TraceKey, Classification: r.Classification, OccurredAt: timeOf(r.OccurredAt),
		Resolved: job.ErrorState(r.ResolvedHow), ResolvedBy: job.UserRef{ID: r.ResolvedByID, Name: r.ResolvedByName},
		ResolvedAt: timeOrZero(r.ResolvedAt), RetryJob: job.ID(r.RetryJob), HasData: r.HasData,
	}, nil
}

func toOutputRow(id job.ID, o job.Output) outputRow {
	return outputRow{
		JobID: string(id), Name: clean(o.Name), Size: o.Size, SHA256: o.SHA256, Object: clean(o.Object),
		CreatedAt: micros(o.CreatedAt),
	}
}

func (r outputRow) output() job.Output {
	return job.Output{
		Name: r.Name, Size: r.Size, SHA256: r.SHA256, Object: r.Object, CreatedAt: timeOf(r.CreatedAt),
	}
}

func toUserRow(u job.User) userRow {
	r := userRow{
		ID: u.ID, AccountID: u.AccountID, Name: u.Name, NameKey: fold(u.Name), PasswordHash: u.PasswordHash,
		Admin: u.Admin, Active: u.Active, CreatedAt: micros(u.CreatedAt),
		Email: u.Email, FirstName: u.FirstName, LastName: u.LastName, Street: u.Street, City: u.City, State: u.State,
		PostalCode: u.PostalCode, Country: u.Country, SSOIssuer: u.SSO.Issuer, SSOSubject: u.SSO.ID, Change: u.Change,
		CreatedByID: u.CreatedBy.ID, CreatedByName: u.CreatedBy.Name, ModifiedByID: u.ModifiedBy.ID, ModifiedByName: u.ModifiedBy.Name,
	}
	if !u.ModifiedAt.IsZero() {
		r.ModifiedAt = micros(u.ModifiedAt)
	}
	return r
}

func (r userRow) user() job.User {
	u := job.User{
		ID: r.ID, AccountID: r.AccountID, Name: r.Name, PasswordHash: r.PasswordHash, Admin: r.Admin, Active: r.Active,
		CreatedAt: timeOf(r.CreatedAt),
		Person: job.Person{
			Email: r.Email, FirstName: r.FirstName, LastName: r.LastName, Street: r.Street, City: r.City, State: r.State,
			PostalCode: r.PostalCode, Country: r.Country,
		},
		SSO: job.Subject{Issuer: r.SSOIssuer, ID: r.SSOSubject}, Change: r.Change,
		CreatedBy:  job.UserRef{ID: r.CreatedByID, Name: r.CreatedByName},
		ModifiedBy: job.UserRef{ID: r.ModifiedByID, Name: r.ModifiedByName},
	}
	if r.ModifiedAt != 0 {
		u.ModifiedAt = timeOf(r.ModifiedAt)
	}
	return u
}

func toAccountRow(a job.Account) accountRow {
	return accountRow{
		ID: a.ID, Name: a.Name, DestinationID: a.Destination, CreatedAt: micros(a.CreatedAt), Description: a.Description,
		MaxTimeout: int64(a.MaxTimeout), Retention: toJSON(a.Retention), UserDomains: tagsJSON(a.UserDomains), Change: a.Change, TimeZone: a.TimeZone,
	}
}

func (r accountRow) account() (job.Account, error) {
	a := job.Account{
		ID: r.ID, Name: r.Name, Description: r.Description, Destination: r.DestinationID, MaxTimeout: time.Duration(r.MaxTimeout),
		Change: r.Change, CreatedAt: timeOf(r.CreatedAt), TimeZone: r.TimeZone,
	}
	var err error
	if a.UserDomains, err = tagsOf(r.UserDomains); err != nil {
		return a, err
	}
	return a, fromJSON(r.Retention, &a.Retention)
}

func (r destinationRow) destination() job.Destination {
	return job.Destination{
		ID: r.ID, AccountID: r.AccountID, Name: r.Name, Description: r.Description, TaskQueue: r.TaskQueue, System: r.System,
	}
}

func toDestinationRow(d job.Destination) destinationRow {
	return destinationRow{
		ID: d.ID, AccountID: d.AccountID, Name: d.Name, NameKey: fold(d.Name), Description: d.Description, TaskQueue: d.TaskQueue,
		System: d.System,
	}
}

func toWorkerRow(w job.Worker) workerRow {
	return workerRow{
		ID: w.ID, AccountID: w.AccountID, TaskQueue: w.TaskQueue, Hostname: clean(w.Hostname), PID: w.PID, Version: clean(w.Version),
		Labels: toJSON(w.Labels), Runners: toJSON(w.Runners), Sandbox: clean(w.Sandbox), Concurrency: w.Concurrency,
		Running: w.Running, Status: string(w.Status), Drain: w.Drain, StartedAt: micros(w.StartedAt), BeatAt: micros(w.BeatAt), Note: w.Note,
	}
}

func (r workerRow) worker() (job.Worker, error) {
	w := job.Worker{
		ID: r.ID, AccountID: r.AccountID, TaskQueue: r.TaskQueue, Hostname: r.Hostname, PID: r.PID, Version: r.Version,
		Sandbox: r.Sandbox, Concurrency: r.Concurrency, Running: r.Running, Status: job.WorkerStatus(r.Status), Drain: r.Drain,
		StartedAt: timeOf(r.StartedAt), BeatAt: timeOf(r.BeatAt), Note: r.Note,
	}
	if err := fromJSON(r.Labels, &w.Labels); err != nil {
		return w, err
	}
	return w, fromJSON(r.Runners, &w.Runners)
}

func (r tokenFamilyRow) family() job.TokenFamily {
	return job.TokenFamily{
		ID: r.ID, UserID: r.UserID, AccountID: r.AccountID, RefreshHash: r.RefreshHash, CreatedAt: timeOf(r.CreatedAt),
		ExpiresAt: timeOf(r.ExpiresAt), RevokedAt: timeOrZero(r.RevokedAt),
	}
}
