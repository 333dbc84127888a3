package control

import (
	"context"
	"io"
	"time"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// Every method of every port answers with a *job.Error: NotFound for what is absent or of another account, Conflict for a
// lost compare-and-set or a broken uniqueness, Unavailable when the technology behind it is down.

// ConfigReader reads job configs.
type ConfigReader interface {
	// Config finds one by decimal id.
	Config(ctx context.Context, account, id int64) (job.Config, error)
	// ConfigByObjectID finds one by its 24-hex object id.
	ConfigByObjectID(ctx context.Context, account int64, objectID string) (job.Config, error)
	// ConfigByName finds one by its name, without regard to case.
	ConfigByName(ctx context.Context, account int64, name string) (job.Config, error)
	// Configs lists. Known properties: id objectId name description active created lastModified createdByUser.id
	// createdByUser.name lastModifiedByUser.name user.id user.name tags runtimeConfig.packageName
	// runtimeConfig.entryPoint timeout destination.id.
	Configs(ctx context.Context, q job.Query) (job.List[job.Config], error)
}

// ConfigWriter changes job configs. A taken name or object id is Conflict, WordDuplicateName.
type ConfigWriter interface {
	// CreateConfig stores c, gives it an id and returns it.
	CreateConfig(ctx context.Context, c job.Config) (job.Config, error)
	// UpdateConfig stores all of c but what never changes (id, object id, account, created, owner), if the stored row is
	// still the one last modified at was; otherwise Conflict, WordStale.
	UpdateConfig(ctx context.Context, c job.Config, was time.Time) error
	// SetConfigsActive sets the flag on all of ids or on none: an id that is absent or outside the scope is NotFound.
	SetConfigsActive(ctx context.Context, s job.Scope, ids []int64, active bool, by job.UserRef, at time.Time) error
	// DeleteConfigs deletes all of ids or none, with their file keys and links. Jobs and the versions they ran stay. While
	// others link to a file of one of them: Conflict, WordLinkExists.
	DeleteConfigs(ctx context.Context, s job.Scope, ids []int64) error
}

// FileStore keeps file keys and their versions; the bytes are blobs in the object store. A key that is linked is found like
// one the entity has itself, with LinkID and the entity that has it.
type FileStore interface {
	// AddFile makes the next version of f's key and returns it. If the entity is gone: NotFound. A key that is linked is
	// Conflict, WordLinkExists.
	AddFile(ctx context.Context, f job.File) (job.File, error)
	// AddFiles is AddFile of all of them or of none.
	AddFiles(ctx context.Context, files []job.File) ([]job.File, error)
	// File finds a version; version 0 is the newest of a key that is not deleted.
	File(ctx context.Context, account int64, e job.EntityType, entity int64, key string, version int) (job.File, error)
	// Files lists the newest version of every key that is not deleted. Known properties: name size created, depth (slashes of the key).
	Files(ctx context.Context, account int64, e job.EntityType, entity int64, q job.Query) (job.List[job.File], error)
	// FileVersions lists the versions of a key, newest first. NotFound for an unknown or deleted key.
	FileVersions(ctx context.Context, account int64, e job.EntityType, entity int64, key string, q job.Query) (job.List[job.File], error)
	// DeleteFile takes the key out of lists; versions stay readable by jobs that ran them. A later upload to the key goes
	// on counting versions. A key that is a link, or that others link to, is Conflict, WordLinkExists.
	DeleteFile(ctx context.Context, account int64, e job.EntityType, entity int64, key string) error
}

// FileLinks keeps which entities use files of others.
type FileLinks interface {
	// AddLink links to a key that is there, or else NotFound, and gives the link its id. A key that is linked already is
	// Conflict, WordLinkExists; one the entity has itself Conflict, WordDuplicateName; too many links Invalid.
	AddLink(ctx context.Context, l job.FileLink) (job.FileLink, error)
	// DeleteLink takes the link away; jobs that ran through it keep what they ran.
	DeleteLink(ctx context.Context, account int64, e job.EntityType, entity, link int64) error
}

// Submission is a job to be stored.
type Submission struct {
	Job job.Job
	// Idempotency, when its Key is set, makes a repeat of the call give back the first job.
	Idempotency Idempotency
	// Force allows a retry while another retry of the same parent is unfinished.
	Force bool
	// Records are those a retry of records is given; empty: all that are open. One that is not an open error of the parent
	// is Invalid, WordUnknownRecord; none at all Conflict, WordNothingToRetry.
	Records []string
	// Alone refuses a job while its config has another one that is not final: Conflict, WordRunActive, which comes with that job.
	// Two at once make one.
	Alone bool
	// StartLater leaves the start of the workflow to the reconciler.
	StartLater bool
	// MayShow tells whether a start that is skipped may be answered with a job of that config and owner. If not, it is Conflict,
	// WordConcurrencyLimit, and leaves nothing behind, its key included. nil: with any.
	MayShow func(config, owner int64) bool

	held      bool // whoever submits it starts it, too
	ownConfig bool // the config is the submitter's
}

// Idempotency identifies a repeatable call.
type Idempotency struct {
	Key       string // as the client sent it
	Caller    int64  // user id
	Route     string // route and target, so that one key can serve several
	Digest    string // of the request body
	ExpiresAt time.Time
}

// JobWriter moves jobs on behalf of users.
type JobWriter interface {
	// Replay gives the job that an earlier Submit with the same key and digest made, if its time is not over at now.
	// Another digest is Conflict, WordIdempotency; found is false for a key that is free.
	Replay(ctx context.Context, account int64, i Idempotency, now time.Time) (j job.Job, found bool, err error)
	// Submit stores the job as Queued in one transaction with its run number, the records it is given, its idempotency key, and, for a retry
	// (RetryOf set), the check that the parent is final (Conflict, WordJobNotFinished) and has no unfinished retry
	// (Conflict, WordRetryActive), Root and RetryNumber being set by the store. replayed tells that an earlier call with
	// the same key and digest made the job; another digest is Conflict, WordIdempotency.
	//
	// A job with a Lane whose places are all held, or in which others wait, gets ReasonSequenced and its LaneSeq. If its
	// Spec.Concurrency says so it is not stored instead: skip gives back the oldest job of the lane, to be told by its id,
	// and fail is Conflict, WordConcurrencyLimit. A retry always queues. A refusal of Alone comes with the active job.
	Submit(ctx context.Context, s Submission) (j job.Job, replayed bool, err error)
	// Cancel records a user's wish: a Queued job becomes Cancelled, a Running one Cancelling (reason stopped); a
	// Cancelling one stays. A final one is Conflict, WordJobFinished. The program is left grace between SIGTERM and SIGKILL; 0: as the
	// setting says.
	Cancel(ctx context.Context, account int64, id job.ID, by job.UserRef, at time.Time, grace time.Duration) (job.Job, error)
	// MarkUnreachable notes that the engine was down at the start; MarkReachable takes it back.
	MarkUnreachable(ctx context.Context, account int64, id job.ID, down bool) error
}

// JobReader reads jobs.
type JobReader interface {
	// Job finds a job. One that waits in a lane has its Position, one that runs its CurrentStep; messages and values that it
	// gave are told without bodies.
	Job(ctx context.Context, account int64, id job.ID) (job.Job, error)
	// Jobs lists, with stats when the query asks for them. Here as in every list of jobs (Family, Backlog) the Spec comes
	// without Macros, Files, Inputs and InMessages, so that memory does not grow with what submitters send. Known properties: id status reason
	// taken scheduled started finished startAfter packageName entryPoint returnCode runNumber attempt tags retryOf rootJob
	// worker jobConfig.id jobConfig.name submittedByUser.id submittedByUser.name stoppedByUser.id stoppedByUser.name
	// destination.id.
	Jobs(ctx context.Context, q job.Query) (job.List[job.Job], job.JobStats, error)
	// Family lists the chain of the job, oldest first.
	Family(ctx context.Context, account int64, id job.ID) ([]job.Job, error)
	Steps(ctx context.Context, account int64, id job.ID) ([]job.Step, error)
	// StepsOf lists the steps of several jobs.
	StepsOf(ctx context.Context, account int64, ids []job.ID) (map[job.ID][]job.Step, error)
	Outputs(ctx context.Context, account int64, id job.ID) ([]job.Output, error)
}

// TalkReader reads what a job gave beside its files. JobReader.Job tells of it in short.
type TalkReader interface {
	// OutMessages lists the messages without their bodies, by name.
	OutMessages(ctx context.Context, account int64, id job.ID) ([]job.OutMessage, error)
	// OutMessage finds the last message of a name, with its body.
	OutMessage(ctx context.Context, account int64, id job.ID, name string) (job.OutMessage, error)
	// FilesNow lists what lay in the output folder of a running job when its worker last looked, without Object.
	FilesNow(ctx context.Context, account int64, id job.ID) ([]job.Output, error)
}

// RecordReader reads what became of single attempts, records and retries.
type RecordReader interface {
	// Attempts lists the tries of a job, first to last.
	Attempts(ctx context.Context, account int64, id job.ID) ([]job.Attempt, error)
	// Errors lists the record errors of a job, without data. Known properties: recordId step code message traceKey attempt
	// occurred resolved retryJob.
	Errors(ctx context.Context, account int64, id job.ID, q job.Query) (job.List[job.RecordError], error)
	// ErrorData gives the record as the next retry would send it. NotFound also for an error that came without data.
	ErrorData(ctx context.Context, account int64, id job.ID, record string) (job.RecordData, error)
	// RetryStates tells what retries jobs have; a job without any is not in it.
	RetryStates(ctx context.Context, account int64, ids []job.ID) (map[job.ID]job.RetryState, error)
}

// RecordWriter changes record errors on behalf of users.
type RecordWriter interface {
	// SetErrorData replaces the record the next retry sends. An error that is resolved: Conflict, WordRecordResolved; one
	// whose retry has not finished: Conflict, WordRetryActive.
	SetErrorData(ctx context.Context, account int64, id job.ID, record string, data []byte, at time.Time) (job.RecordData, error)
	// ResolveErrors resolves those of the errors that are open, nil meaning all, and counts them. One that is no error of
	// the job is Invalid, WordUnknownRecord, and then nothing is changed.
	ResolveErrors(ctx context.Context, account int64, id job.ID, records []string, by job.UserRef, at time.Time) (int64, error)
}

// Run is how the worker that executes a job writes to it. Every write carries the attempt's fence; a write whose fence is
// not the row's any more is Conflict, WordStale, and changes nothing.
type Run interface {
	// Begin makes fence the row's fence if it is larger, counts the attempt, and sets Running (reason initializing). It
	// returns the job with its Spec. A job that is final or Cancelling is Conflict, WordStale (Cancelling: the job is
	// returned too, so that the caller can settle it). lost tells that an earlier attempt never ended: its worker was lost;
	// that attempt is then closed with ReasonWorkerLost. A job that waits while who submitted it is no longer active is cancelled
	// instead, as InactiveJobs does, and is Conflict, WordStale, too.
	Begin(ctx context.Context, account int64, id job.ID, fence int64, worker string, at time.Time) (j job.Job, lost bool, err error)
	// Started clears the reason initializing, notes the time and what holds the program back, and opens the step "main". What
	// the program of an attempt before reported (steps, counters, errors, warnings, messages, values) is dropped.
	Started(ctx context.Context, account int64, id job.ID, fence int64, sandbox string, at time.Time) error
	// Report stores what the running program told. Storing it twice is as storing it once. Of messages and values of one name
	// the last stays.
	Report(ctx context.Context, account int64, id job.ID, fence int64, r job.Report) error
	// RetryRecords lists the records the job is to retry, with their data as they are now, by id behind after.
	RetryRecords(ctx context.Context, account int64, id job.ID, after string, limit int) ([]job.RetryRecord, error)
	// Cancelling turns Running into Cancelling with the reason; already Cancelling: nothing.
	Cancelling(ctx context.Context, account int64, id job.ID, fence int64, reason job.Reason) error
	// Again ends an attempt whose program failed and which another follows: the job is Queued until startAfter.
	Again(ctx context.Context, account int64, id job.ID, fence int64, o job.Outcome, startAfter time.Time) error
	// Finish ends the attempt and the job. The stored ending wins: a job that became Cancelling keeps its StoppedBy
	// whatever the outcome.
	Finish(ctx context.Context, account int64, id job.ID, fence int64, o job.Outcome) (job.Job, error)
}

// Settlement is how workflows and the reconciler end jobs whose worker did not.
type Settlement interface {
	// Settle ends the job along job.Path unless it is final already, fences off every worker whose fence is smaller than
	// fence, closes open attempts and steps, and returns the row as it stands now. Idempotent. A job that a user asked to
	// stop (Cancelling, StoppedBy set) is settled as Cancelled, stopped, whatever o says; one Cancelling for its timeout
	// as Failed, timeout.
	Settle(ctx context.Context, account int64, id job.ID, fence int64, o job.Outcome) (job.Job, error)
	// RollUp completes the results above a finished retry, in one idempotent transaction that also marks the child as rolled
	// up. Of every job above it in its chain: open errors of records the child raised again become superseded; when child
	// ended Completed, the others that it was given become resolved - all of them, unless its scope is failed_records - and,
	// with any other scope, the job gets ResolvedBy if it has none.
	RollUp(ctx context.Context, account int64, child job.ID, at time.Time) error
}

// Backlog is what the reconciler looks after: it spans accounts.
type Backlog interface {
	// AnyJob finds a job of any account.
	AnyJob(ctx context.Context, id job.ID) (job.Job, error)
	// Unfinished lists jobs that are not final and were last written before the time, oldest id first, after the id.
	Unfinished(ctx context.Context, before time.Time, after job.ID, limit int) ([]job.Job, error)
	// Unreached lists unfinished jobs that are marked unreachable, oldest id first.
	Unreached(ctx context.Context, limit int) ([]job.Job, error)
	// NotRolledUp lists final retries whose roll-up has not been made and that ended before the time, oldest ending first, behind a mark.
	NotRolledUp(ctx context.Context, before time.Time, after RollUpMark, limit int) ([]job.Job, error)
	// PurgeExpired deletes idempotency keys, token families and login counts that are over.
	PurgeExpired(ctx context.Context, now time.Time) error
}

// RollUpMark is a place in the list of retries that are not rolled up; the zero one is before all.
type RollUpMark struct {
	Ended time.Time
	ID    job.ID
}

// EngineState is what the engine says of a job's workflow.
type EngineState string

// The states the reconciler tells apart.
const (
	EngineAbsent     EngineState = "absent"     // never started, or its history is gone
	EngineOpen       EngineState = "open"       // running
	EngineClosed     EngineState = "closed"     // ended by itself
	EngineTerminated EngineState = "terminated" // terminated, or timed out, from outside
)

// Starter starts and cancels workflows; workflows/starter is the real one. Unavailable when the engine can not be reached.
type Starter interface {
	// StartJob starts Job for a first run and Retry for a retry. Already started is not an error.
	StartJob(ctx context.Context, in contract.JobInput) error
	// CancelJob asks the job's workflow to cancel. No such workflow, or one that ended, is not an error.
	CancelJob(ctx context.Context, id job.ID) error
	// JobState looks the job's workflow up. For a retry that is the Job child or, before it started, the Retry around it.
	JobState(ctx context.Context, id job.ID, retry bool) (EngineState, error)
	// Terminated lists the ids of jobs whose workflow was terminated or timed out since the time. A job in it may live on in
	// a newer run: JobState tells.
	Terminated(ctx context.Context, since time.Time) ([]job.ID, error)
	// Ping tells whether the engine answers.
	Ping(ctx context.Context) error
}

// Object describes what lies in the object store.
type Object struct {
	Key  string
	Size int64 // bytes
	// Modified is when it was stored, by the store's clock. Put does not tell it.
	Modified time.Time
}

// Objects is the object store. Keys are made by the domain (job.BlobKey and others) and hold no user input but output
// file names.
type Objects interface {
	// Put streams r to key; size -1 means unknown. Memory use does not depend on the size.
	Put(ctx context.Context, key string, r io.Reader, size int64) (Object, error)
	// Get reads from offset, length bytes; length -1 means to the end. NotFound for an unknown key. The caller closes.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// List calls yield for every object below prefix in key order, beginning behind the key after, until it returns false.
	List(ctx context.Context, prefix, after string, yield func(Object) bool) error
	// Stat describes key. NotFound for an unknown one.
	Stat(ctx context.Context, key string) (Object, error)
	// Delete removes key; an unknown one is not an error.
	Delete(ctx context.Context, key string) error
}

// Users finds people and keeps what came from their logins.
type Users interface {
	UserByName(ctx context.Context, name string) (job.User, error)
	User(ctx context.Context, account, id int64) (job.User, error)
	Account(ctx context.Context, id int64) (job.Account, error)
	// CreateAccount makes an account with its default destination and its first admin. A taken account or user name is
	// Conflict, WordDuplicateName.
	CreateAccount(ctx context.Context, a job.Account, queue string, admin job.User) (job.Account, job.User, error)
	// Destination finds one; id 0 means the account's default.
	Destination(ctx context.Context, account, id int64) (job.Destination, error)
}

// Tokens keeps token families.
type Tokens interface {
	// CreateTokenFamily stores a family of a user who is active and, unless hash is "", still has that password hash; else Conflict,
	// WordStale. A change of either waits or is seen.
	CreateTokenFamily(ctx context.Context, f job.TokenFamily, hash string) error
	TokenFamily(ctx context.Context, id string) (job.TokenFamily, error)
	// RotateToken replaces the refresh hash if it is still was (Conflict, WordStale otherwise) and the family is alive
	// (NotFound otherwise).
	RotateToken(ctx context.Context, id, was, now string, expires time.Time) error
	// RevokeTokens ends the family. Idempotent.
	RevokeTokens(ctx context.Context, id string, at time.Time) error
}
