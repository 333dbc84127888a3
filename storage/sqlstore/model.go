package sqlstore

import (
	"reflect"
	"strings"
	"sync"
)

// The rows as they lie in the tables; convert.go turns them into domain types and back. A pointer is a column that may be
// NULL. Times are microseconds since 1970 in UTC on both engines: they sort and compare the same everywhere, lose nothing
// against timestamptz, which has the same precision, and need no time zone from driver or server. See the migrations for
// the rest of the conventions.

type accountRow struct {
	ID            int64  `gorm:"column:id;primaryKey;autoIncrement"`
	Name          string `gorm:"column:name"`
	DestinationID int64  `gorm:"column:destination_id"`
	CreatedAt     int64  `gorm:"column:created_at;autoCreateTime:false"`
	Description   string `gorm:"column:description"`
	MaxTimeout    int64  `gorm:"column:max_timeout"`  // nanoseconds
	Retention     string `gorm:"column:retention"`    // JSON of job.Retention
	UserDomains   string `gorm:"column:user_domains"` // JSON
	Change        int64  `gorm:"column:change"`
	TimeZone      string `gorm:"column:time_zone"`
}

func (accountRow) TableName() string { return "accounts" }

type destinationRow struct {
	ID          int64  `gorm:"column:id;primaryKey;autoIncrement"`
	AccountID   int64  `gorm:"column:account_id"`
	Name        string `gorm:"column:name"`
	TaskQueue   string `gorm:"column:task_queue"`
	NameKey     string `gorm:"column:name_key"` // lower case: unique in the account
	Description string `gorm:"column:description"`
	System      bool   `gorm:"column:system"`
}

func (destinationRow) TableName() string { return "destinations" }

type workerRow struct {
	ID          string `gorm:"column:id;primaryKey"`
	AccountID   int64  `gorm:"column:account_id"`
	TaskQueue   string `gorm:"column:task_queue"`
	Hostname    string `gorm:"column:hostname"`
	PID         int    `gorm:"column:pid"`
	Version     string `gorm:"column:version"`
	Labels      string `gorm:"column:labels"`  // JSON
	Runners     string `gorm:"column:runners"` // JSON
	Sandbox     string `gorm:"column:sandbox"`
	Concurrency int    `gorm:"column:concurrency"`
	Running     int    `gorm:"column:running"`
	Status      string `gorm:"column:status"`
	Drain       bool   `gorm:"column:drain"`
	StartedAt   int64  `gorm:"column:started_at"`
	BeatAt      int64  `gorm:"column:beat_at"`
	Note        string `gorm:"column:note"`
}

func (workerRow) TableName() string { return "workers" }

type userRow struct {
	ID           int64  `gorm:"column:id;primaryKey;autoIncrement"`
	AccountID    int64  `gorm:"column:account_id"`
	Name         string `gorm:"column:name"`
	NameKey      string `gorm:"column:name_key"` // lower case: unique over all accounts
	PasswordHash string `gorm:"column:password_hash"`
	Admin        bool   `gorm:"column:admin"`
	Active       bool   `gorm:"column:active"`
	CreatedAt    int64  `gorm:"column:created_at;autoCreateTime:false"`

	Email      string `gorm:"column:email"`
	FirstName  string `gorm:"column:first_name"`
	LastName   string `gorm:"column:last_name"`
	Street     string `gorm:"column:street"`
	City       string `gorm:"column:city"`
	State      string `gorm:"column:state"`
	PostalCode string `gorm:"column:postal_code"`
	Country    string `gorm:"column:country"`

	SSOIssuer      string `gorm:"column:sso_issuer"`
	SSOSubject     string `gorm:"column:sso_subject"`
	CreatedByID    int64  `gorm:"column:created_by_id"`
	CreatedByName  string `gorm:"column:created_by_name"`
	ModifiedByID   int64  `gorm:"column:modified_by_id"`
	ModifiedByName string `gorm:"column:modified_by_name"`
	ModifiedAt     int64  `gorm:"column:modified_at"` // 0: never
	Change         int64  `gorm:"column:change"`
}

func (userRow) TableName() string { return "users" }

type tokenFamilyRow struct {
	ID          string `gorm:"column:id;primaryKey"`
	UserID      int64  `gorm:"column:user_id"`
	AccountID   int64  `gorm:"column:account_id"`
	RefreshHash string `gorm:"column:refresh_hash"`
	CreatedAt   int64  `gorm:"column:created_at;autoCreateTime:false"`
	ExpiresAt   int64  `gorm:"column:expires_at"`
	RevokedAt   *int64 `gorm:"column:revoked_at"`
}

func (tokenFamilyRow) TableName() string { return "token_families" }

type loginFailuresRow struct {
	Subject      string `gorm:"column:subject;primaryKey"`
	Failures     int    `gorm:"column:failures"`
	WindowEndsAt int64  `gorm:"column:window_ends_at"`
	LockedUntil  *int64 `gorm:"column:locked_until"`
}

func (loginFailuresRow) TableName() string { return "login_failures" }

type configRow struct {
	ID              int64   `gorm:"column:id;primaryKey;autoIncrement"`
	ObjectID        string  `gorm:"column:object_id"`
	AccountID       int64   `gorm:"column:account_id"`
	Name            string  `gorm:"column:name"`
	NameKey         string  `gorm:"column:name_key"` // lower case: unique in the account, and how names are sorted
	Description     string  `gorm:"column:description"`
	DescriptionFold *string `gorm:"column:description_fold"`
	Active          bool    `gorm:"column:active"`
	Runtime         string  `gorm:"column:runtime"` // JSON of job.RuntimeConfig
	PackageName     string  `gorm:"column:package_name"`
	PackageNameFold *string `gorm:"column:package_name_fold"`
	EntryPoint      string  `gorm:"column:entry_point"`
	EntryPointFold  *string `gorm:"column:entry_point_fold"`
	DestinationID   int64   `gorm:"column:destination_id"`
	Timeout         int64   `gorm:"column:timeout"` // nanoseconds
	Retry           string  `gorm:"column:retry"`   // JSON of job.RetryPolicy
	OnLoss          string  `gorm:"column:on_loss"`
	Tags            string  `gorm:"column:tags"`   // JSON, what is read; job_config_tags is what is searched
	Labels          string  `gorm:"column:labels"` // JSON of job.Labels
	Rules           string  `gorm:"column:rules"`  // JSON of job.Rules
	OwnerID         int64   `gorm:"column:owner_id"`
	OwnerName       string  `gorm:"column:owner_name"`
	OwnerNameFold   *string `gorm:"column:owner_name_fold"`
	CreatedAt       int64   `gorm:"column:created_at;autoCreateTime:false"`
	CreatedByID     int64   `gorm:"column:created_by_id"`
	CreatedByName   string  `gorm:"column:created_by_name"`
	CreatedByFold   *string `gorm:"column:created_by_fold"`
	ModifiedAt      int64   `gorm:"column:modified_at"`
	ModifiedByID    int64   `gorm:"column:modified_by_id"`
	ModifiedByName  string  `gorm:"column:modified_by_name"`
	ModifiedByFold  *string `gorm:"column:modified_by_fold"`
	Runs            int64   `gorm:"column:runs"`     // run numbers given out
	KeepAge         int64   `gorm:"column:keep_age"` // Rules.Retention again, for searching; nanoseconds
	KeepCount       int64   `gorm:"column:keep_count"`
}

func (configRow) TableName() string { return "job_configs" }

type fileRow struct {
	AccountID     int64  `gorm:"column:account_id"`
	EntityType    string `gorm:"column:entity_type"`
	EntityID      int64  `gorm:"column:entity_id"`
	FileKey       string `gorm:"column:file_key"`
	Version       int    `gorm:"column:version"`
	Size          int64  `gorm:"column:size"`
	SHA256        string `gorm:"column:sha256"`
	ContentType   string `gorm:"column:content_type"`
	Archive       string `gorm:"column:archive"` // JSON of job.Archive, or ''
	CreatedAt     int64  `gorm:"column:created_at;autoCreateTime:false"`
	CreatedByID   int64  `gorm:"column:created_by_id"`
	CreatedByName string `gorm:"column:created_by_name"`
}

func (fileRow) TableName() string { return "file_versions" }

type jobRow struct {
	ID              string  `gorm:"column:id;primaryKey"`
	AccountID       int64   `gorm:"column:account_id"`
	ConfigID        int64   `gorm:"column:config_id"`
	ConfigName      string  `gorm:"column:config_name"`
	ConfigNameFold  *string `gorm:"column:config_name_fold"`
	OwnerID         int64   `gorm:"column:owner_id"`
	RunNumber       int64   `gorm:"column:run_number"`
	Status          string  `gorm:"column:status"`
	Reason          string  `gorm:"column:reason"`
	Taken           bool    `gorm:"column:taken"`
	Fence           int64   `gorm:"column:fence"`
	Change          int64   `gorm:"column:change"`
	Worker          string  `gorm:"column:worker"`
	WorkerFold      *string `gorm:"column:worker_fold"`
	Spec            string  `gorm:"column:spec"` // JSON of job.Spec without macros, files and messages
	HasInputs       bool    `gorm:"column:has_inputs"`
	PackageName     string  `gorm:"column:package_name"`
	PackageNameFold *string `gorm:"column:package_name_fold"`
	EntryPoint      string  `gorm:"column:entry_point"`
	EntryPointFold  *string `gorm:"column:entry_point_fold"`
	DestinationID   int64   `gorm:"column:destination_id"`
	Tags            string  `gorm:"column:tags"` // JSON, what is read; job_tags is what is searched
	Attempt         int     `gorm:"column:attempt"`
	Failures        int     `gorm:"column:failures"`
	ReturnCode      *int    `gorm:"column:return_code"`
	Message         string  `gorm:"column:message"`
	ScheduledAt     int64   `gorm:"column:scheduled_at"`
	StartAfter      *int64  `gorm:"column:start_after"`
	ReceivedAt      *int64  `gorm:"column:received_at"`
	StartedAt       *int64  `gorm:"column:started_at"`
	FinishedAt      *int64  `gorm:"column:finished_at"`
	SubmittedByID   int64   `gorm:"column:submitted_by_id"`
	SubmittedByName string  `gorm:"column:submitted_by_name"`
	SubmittedByFold *string `gorm:"column:submitted_by_fold"`
	StoppedByID     int64   `gorm:"column:stopped_by_id"`
	StoppedByName   string  `gorm:"column:stopped_by_name"`
	StoppedByFold   *string `gorm:"column:stopped_by_fold"`
	RetryOf         string  `gorm:"column:retry_of"`
	Root            string  `gorm:"column:root"`
	RetryNumber     int     `gorm:"column:retry_number"`
	ResolvedBy      string  `gorm:"column:resolved_by"`
	ResolvedAt      *int64  `gorm:"column:resolved_at"`
	RolledUp        bool    `gorm:"column:rolled_up"`
	Unreachable     bool    `gorm:"column:unreachable"`
	WrittenAt       int64   `gorm:"column:written_at"`
	Lane            string  `gorm:"column:lane"`
	LaneSeq         int64   `gorm:"column:lane_seq"`
	FiredAt         *int64  `gorm:"column:fired_at"`
	Trigger         string  `gorm:"column:trigger_kind"`
	RetryScope      string  `gorm:"column:retry_scope"`
	RecordsRead     int64   `gorm:"column:records_read"`
	RecordsWritten  int64   `gorm:"column:records_written"`
	RecordsFailed   int64   `gorm:"column:records_failed"`
	RecordsIgnored  int64   `gorm:"column:records_ignored"`
	ErrorsOpen      int64   `gorm:"column:errors_open"`
	ErrorsResolved  int64   `gorm:"column:errors_resolved"`
	Warnings        string  `gorm:"column:warnings"` // JSON, or ''
	Sandbox         string  `gorm:"column:sandbox"`
	Talk            int     `gorm:"column:talk"` // see talk.go
	StopGrace       int64   `gorm:"column:stop_grace"`
}

func (jobRow) TableName() string { return "jobs" }

type inputsRow struct {
	JobID    string `gorm:"column:job_id;primaryKey"`
	Macros   string `gorm:"column:macros"`   // JSON
	Files    string `gorm:"column:files"`    // JSON
	Messages string `gorm:"column:messages"` // JSON, or ''
}

func (inputsRow) TableName() string { return "job_inputs" }

type attemptRow struct {
	JobID      string `gorm:"column:job_id;primaryKey"`
	Number     int    `gorm:"column:number;primaryKey"`
	Fence      int64  `gorm:"column:fence"`
	Worker     string `gorm:"column:worker"`
	StartedAt  int64  `gorm:"column:started_at"`
	FinishedAt *int64 `gorm:"column:finished_at"`
	ReturnCode *int   `gorm:"column:return_code"`
	Reason     string `gorm:"column:reason"`
	Message    string `gorm:"column:message"`
	Sandbox    string `gorm:"column:sandbox"`
}

func (attemptRow) TableName() string { return "job_attempts" }

type stepRow struct {
	JobID          string `gorm:"column:job_id;primaryKey"`
	Position       int    `gorm:"column:position;primaryKey"`
	Name           string `gorm:"column:name"`
	Status         string `gorm:"column:status"`
	Attempt        int    `gorm:"column:attempt"`
	StartedAt      *int64 `gorm:"column:started_at"`
	FinishedAt     *int64 `gorm:"column:finished_at"`
	ReturnCode     *int   `gorm:"column:return_code"`
	RecordsRead    int64  `gorm:"column:records_read"`
	RecordsWritten int64  `gorm:"column:records_written"`
	RecordsFailed  int64  `gorm:"column:records_failed"`
	RecordsIgnored int64  `gorm:"column:records_ignored"`
	ErrorsOpen     int64  `gorm:"column:errors_open"`
	ErrorsResolved int64  `gorm:"column:errors_resolved"`
	Message        string `gorm:"column:message"`
}

func (stepRow) TableName() string { return "job_steps" }

type outputRow struct {
	JobID     string `gorm:"column:job_id;primaryKey"`
	Name      string `gorm:"column:name;primaryKey"`
	Size      int64  `gorm:"column:size"`
	SHA256    string `gorm:"column:sha256"`
	Object    string `gorm:"column:object"`
	CreatedAt int64  `gorm:"column:created_at;autoCreateTime:false"`
}

func (outputRow) TableName() string { return "job_outputs" }

type errorRow struct {
	JobID          string `gorm:"column:job_id;primaryKey"`
	RecordID       string `gorm:"column:record_id;primaryKey"`
	Attempt        int    `gorm:"column:attempt"`
	Step           string `gorm:"column:step"`
	Code           string `gorm:"column:code"`
	Message        string `gorm:"column:message"`
	TraceKey       string `gorm:"column:trace_key"`
	Classification string `gorm:"column:classification"`
	OccurredAt     int64  `gorm:"column:occurred_at"`
	ResolvedHow    string `gorm:"column:resolved_how"` // '' while it is open
	ResolvedByID   int64  `gorm:"column:resolved_by_id"`
	ResolvedByName string `gorm:"column:resolved_by_name"`
	ResolvedAt     *int64 `gorm:"column:resolved_at"`
	RetryJob       string `gorm:"column:retry_job"`
	HasData        bool   `gorm:"column:has_data"`
}

func (errorRow) TableName() string { return "job_errors" }

// idempotencyRow is what is read of idempotency_keys.
type idempotencyRow struct {
	Digest string `gorm:"column:digest"`
	JobID  string `gorm:"column:job_id"`
}

// The column lists of the hand-written statements, read from the tags so that a row is described once.
var (
	configColumns = columnsOf[configRow]("")
	fileColumns   = columnsOf[fileRow]("v.")
	jobColumns    = columnsOf[jobRow]("")
)

// columnNames keeps what columnsOf found, by type and prefix.
var columnNames sync.Map

type columnKey struct {
	row    reflect.Type
	prefix string
}

// columnsOf lists the columns of R in the order of its fields, each behind the prefix.
func columnsOf[R any](prefix string) string {
	key := columnKey{row: reflect.TypeFor[R](), prefix: prefix}
	if names, ok := columnNames.Load(key); ok {
		return names.(string)
	}
	var columns []string
	for _, field := range reflect.VisibleFields(key.row) {
		for _, setting := range strings.Split(field.Tag.Get("gorm"), ";") {
			if name, ok := strings.CutPrefix(setting, "column:"); ok {
				columns = append(columns, prefix+name)
			}
		}
	}
	names := strings.Join(columns, ", ")
	columnNames.Store(key, names)
	return names
}
