package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"waybill/internal/job"
	"waybill/internal/macro"
	"waybill/internal/tracing"
)

// Overrides are the members of runtimeConfig a start or a retry may set for its one job; nil leaves the config's value.
type Overrides struct {
	PackageName    *string     `json:"packageName,omitempty"`
	PackageVersion *int        `json:"packageVersion,omitempty"`
	EntryPoint     *string     `json:"entryPoint,omitempty"`
	LogLevel       *string     `json:"logLevel,omitempty"`
	Macros         []job.Macro `json:"macros,omitempty"` // laid over the config's by key
	// Resources are laid over the config's member by member.
	Resources job.Resources `json:"resources,omitzero"`

	InMessages      *[]job.Message `json:"inMessages,omitempty"`
	OutMessageNames *[]string      `json:"outMessageNames,omitempty"`
}

// SubmitRequest asks for a job.
type SubmitRequest struct {
	Config    string // decimal id or object id
	Overrides Overrides
	Files     map[string]string // name -> text, laid into LOCAL_JOB_SPEC_DIR
	Tags      []string
	// Ordered puts this one job into the lane of its config, behind those that are in it.
	Ordered bool
	// IdempotencyKey, when set, makes a repeat within 24 hours give the same job (native.md, 6).
	IdempotencyKey string
	// Alone starts a job only while its config has none that is not final; else no job is made, and Submitted tells of that one.
	Alone bool
	// TaskType is what the run presents to Informatica clients, where the config does not declare it.
	TaskType string
	// Check is the caller's own condition on the config, asked when it is clear that the actor may start it. nil: none.
	Check func(job.Config) error
	// Callback is one address more that is told of this one job. Its Door says in which form.
	Callback *job.Callback
	// ParameterFile is the key of a file of the config or, if it has none, of the account, whose lines NAME=value are macros of this
	// job. One that is missing or can not be read fails the job, not the call.
	ParameterFile string
	// schedule is the name of the schedule that fires.
	schedule string
	// Caller is what the caller calls the start, and Door how it came in; empty: the API.
	Caller job.Caller
	Door   job.Trigger
	// shape changes what was made of the config and the overrides; nil: nothing.
	shape func(*job.Spec)
	// firedAt makes it a job of a schedule, which is stored and not started; see SubmitHeld.
	firedAt time.Time
}

// Submitted is an accepted job.
type Submitted struct {
	Job      job.Job
	Replayed bool // an earlier call with the same idempotency key made it
	// Skipped: no job was made, because as many of its key were there as may be at once. Job is the oldest of them.
	Skipped bool
	// Active: no job was made, because Alone was asked for and Job is there.
	Active bool
}

const idempotencyLife = 24 * time.Hour

// Submit accepts a job: it checks, snapshots all the run needs, stores the row, and starts the workflow. Once the row is
// stored the job is accepted, whatever the engine does (native.md, 6).
func (s *Jobs) Submit(ctx context.Context, a job.Actor, r SubmitRequest) (made Submitted, err error) {
	ctx, span := tracing.Start(ctx, "submit job")
	defer func() { s.endSubmit(span, r.trigger(), made, err) }()
	c, err := s.Configs.For(ctx, a, r.Config, job.Execute)
	if err != nil {
		return Submitted{}, err
	}
	if r.Check != nil {
		if err := r.Check(c); err != nil {
			return Submitted{}, err
		}
	}
	key, first, err := s.submitted(ctx, a, r, c)
	if err != nil || first.Replayed {
		if err == nil && r.firedAt.IsZero() { // a schedule's workflow starts its own
			s.resume(ctx, &first.Job)
		}
		return first, err
	}
	if !c.Active {
		return Submitted{}, job.Errorf(job.Conflict, job.WordInactiveConfig, "Job config %s is not active", short(r.Config))
	}
	if err := checkFiles(r.Files); err != nil {
		return Submitted{}, err
	}
	if r.Callback != nil {
		if err := s.Configs.Targets.CheckURL(r.Callback.URL); err != nil {
			return Submitted{}, err
		}
	}
	tags, err := cleanTags(append(append([]string(nil), c.Tags...), r.Tags...))
	if err != nil {
		return Submitted{}, err
	}
	spec := job.Spec{
		PackageName: c.Runtime.PackageName, PackageVersion: c.Runtime.PackageVersion, EntryPoint: c.Runtime.EntryPoint,
		LogLevel: c.Runtime.LogLevel, Macros: c.Runtime.Macros, Files: r.Files,
		InMessages: c.Runtime.InMessages, OutMessageNames: c.Runtime.OutMessageNames,
		Timeout: c.Timeout, Retry: c.Retry, OnLoss: c.OnLoss, Concurrency: concurrencyOf(c.Rules, r.Ordered),
		QueueTimeout: c.Rules.QueueTimeout, TotalTimeout: c.Rules.TotalTimeout, Callbacks: c.Rules.Callbacks, Resources: c.Rules.Resources,
	}
	if err := s.override(&spec, r.Overrides); err != nil {
		return Submitted{}, err
	}
	if err := s.ofThisRun(ctx, c, r, &spec); err != nil {
		return Submitted{}, err
	}
	if spec.Caller = r.Caller; r.shape != nil {
		r.shape(&spec)
	}
	if err := s.bind(ctx, c.AccountID, c.ID, &spec); err != nil {
		return Submitted{}, err
	}
	if err := s.inputs(ctx, c, &spec); err != nil {
		return Submitted{}, err
	}
	j := job.Job{
		ConfigID: c.ID, ConfigName: c.Name, Spec: spec, Destination: c.Destination, Tags: tags, Trigger: r.trigger(), FiredAt: r.firedAt,
	}
	return s.accept(ctx, a, Submission{Job: j, Idempotency: key, Alone: r.Alone, held: !r.firedAt.IsZero(), ownConfig: c.Owner.ID == a.User.ID})
}

func (r SubmitRequest) trigger() job.Trigger {
	switch {
	case !r.firedAt.IsZero():
		return job.TriggerSchedule
	case r.Door != "":
		return r.Door
	}
	return job.TriggerAPI
}

// route keeps the keys of schedules apart from those that clients make up.
func (r SubmitRequest) route() string {
	if !r.firedAt.IsZero() {
		return "fire/"
	}
	return "submit/"
}

// repeated makes the idempotency key of a call, and finds the job that an earlier call with it made. That comes before the
// other checks: a repeat gives the same job even when the config could not be started any more.
func (s *Jobs) repeated(ctx context.Context, a job.Actor, route, key string, body any) (Idempotency, Submitted, error) {
	i, err := s.idempotency(a, route, key, body)
	if err != nil || i.Key == "" {
		return i, Submitted{}, err
	}
	j, found, err := s.Writer.Replay(ctx, a.AccountID, i, s.Now().UTC())
	return i, Submitted{Job: j, Replayed: found}, err
}

// submitted is repeated for a start. A fire is its schedule's and not its owner's, who may be another one by the time that it is repeated.
func (s *Jobs) submitted(ctx context.Context, a job.Actor, r SubmitRequest, c job.Config) (Idempotency, Submitted, error) {
	route := r.route() + c.ObjectID
	if r.firedAt.IsZero() {
		return s.repeated(ctx, a, route, r.IdempotencyKey, r.body())
	}
	// Older versions kept a fire's key as the owner's, for as long as a key lives.
	key, first, err := s.repeated(ctx, a, route, r.IdempotencyKey, r.body())
	if err != nil || first.Replayed {
		return key, first, err
	}
	a.User.ID = 0
	return s.repeated(ctx, a, route, r.IdempotencyKey, r.body())
}

// body is what must be equal for two calls to count as one.
func (r SubmitRequest) body() any {
	return struct {
		Overrides  Overrides
		Files      map[string]string
		Tags       []string
		Ordered    bool          `json:",omitempty"`
		TaskType   string        `json:",omitempty"`
		Callback   *job.Callback `json:",omitempty"`
		Parameters string        `json:",omitempty"`
	}{r.Overrides, r.Files, r.Tags, r.Ordered, r.TaskType, r.Callback, r.ParameterFile}
}

// accept stores the job and starts it. The caller has filled what the job is; accept adds who and when.
func (s *Jobs) accept(ctx context.Context, a job.Actor, sub Submission) (Submitted, error) {
	d, err := s.Users.Destination(ctx, a.AccountID, sub.Job.Destination)
	if err != nil {
		return Submitted{}, err
	}
	if err := s.withinAccount(ctx, a.AccountID, &sub.Job.Spec); err != nil {
		return Submitted{}, err
	}
	own := sub.Job.ConfigID
	sub.MayShow = func(config, owner int64) bool {
		return a.May(job.View, job.KindJobConfig, config, owner) || config == own && sub.ownConfig && a.Allows(job.View)
	}
	j := &sub.Job
	j.ID, j.AccountID, j.OwnerID, j.SubmittedBy = s.NewID(), a.AccountID, a.User.ID, a.User
	j.Spec.Trace, j.Spec.Reach = tracing.Of(ctx), a.ReachOf(j.ConfigID, j.Spec.Reach)
	j.Destination, j.Status, j.ScheduledAt = d.ID, job.Queued, s.Now().UTC().Truncate(time.Microsecond)
	if j.Spec.Fault == "" { // what is to fail runs no program, and what its key is made of may be what is missing
		if j.Lane, err = laneOf(j.ConfigID, j.Spec); err != nil {
			return Submitted{}, err
		}
	}
	stored, replayed, err := s.Writer.Submit(ctx, sub)
	if job.WordOf(err) == job.WordRunActive && sub.MayShow(stored.ConfigID, stored.OwnerID) {
		return Submitted{Job: stored, Active: true}, nil
	}
	if err != nil {
		return Submitted{}, err
	}
	switch {
	case replayed:
	case stored.ID != j.ID:
		return Submitted{Job: stored, Skipped: true}, nil
	case sub.held:
	case sub.StartLater:
		s.leave(ctx, &stored)
	default:
		s.start(ctx, &stored, d.TaskQueue)
	}
	return Submitted{Job: stored, Replayed: replayed}, nil
}

func (s *Jobs) override(spec *job.Spec, o Overrides) error {
	if o.PackageName != nil && *o.PackageName != spec.PackageName {
		spec.PackageName, spec.PackageVersion = *o.PackageName, 0
		if spec.PackageName != "" {
			if err := CheckKey(spec.PackageName); err != nil {
				return err
			}
		}
	}
	if o.PackageVersion != nil {
		if *o.PackageVersion < 1 {
			return invalidField("packageVersion is 1 or more")
		}
		spec.PackageVersion = *o.PackageVersion
	}
	if o.EntryPoint != nil {
		spec.EntryPoint = *o.EntryPoint
	}
	if o.LogLevel != nil {
		spec.LogLevel = *o.LogLevel
	}
	if err := checkRuntimeText(job.RuntimeConfig{EntryPoint: spec.EntryPoint, LogLevel: spec.LogLevel}); err != nil {
		return err
	}
	spec.Resources = o.Resources.Over(spec.Resources)
	if err := CheckResources(spec.Resources); err != nil {
		return err
	}
	if o.InMessages != nil {
		spec.InMessages = *o.InMessages
	}
	if o.OutMessageNames != nil {
		spec.OutMessageNames = *o.OutMessageNames
	}
	if err := checkMessages(spec.InMessages, spec.OutMessageNames); err != nil {
		return err
	}
	own, err := sealMacros(s.Sealer, spec.Macros, o.Macros)
	if err != nil {
		return err
	}
	spec.Macros = macro.Merge(spec.Macros, own)
	return macro.Check(spec.Macros)
}

// bind finds the version of the package the job will run.
func (s *Jobs) bind(ctx context.Context, account, config int64, spec *job.Spec) error {
	if spec.PackageName == "" {
		return job.Errorf(job.Invalid, job.WordPackageMissing, "Job config %d names no package", config)
	}
	f, err := s.Files.File(ctx, account, job.EntityJobConfig, config, spec.PackageName, spec.PackageVersion)
	if job.CodeOf(err) == job.NotFound {
		what := "The package '" + short(spec.PackageName) + "'"
		if spec.PackageVersion > 0 {
			what = "Version " + strconv.Itoa(spec.PackageVersion) + " of package '" + short(spec.PackageName) + "'"
		}
		return job.Wrap(err, job.Invalid, job.WordPackageMissing, "%s of job config %d is not uploaded", what, config)
	}
	if err != nil {
		return err
	}
	if spec.EntryPoint == "" && f.Archive != nil && f.Archive.Default() == "" {
		return job.Errorf(job.Invalid, job.WordMissingField, "entryPoint is required: '%s' has no Main-Process", short(f.Key))
	}
	spec.PackageVersion, spec.PackageSHA256, spec.PackageSize = f.Version, f.SHA256, f.Size
	return s.expect(f, spec)
}

func (s *Jobs) idempotency(a job.Actor, route, key string, body any) (Idempotency, error) {
	if key == "" {
		return Idempotency{}, nil
	}
	if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		return Idempotency{}, invalidField("Idempotency-Key has 1 to 255 printable ASCII characters")
	}
	text, err := json.Marshal(body)
	if err != nil {
		return Idempotency{}, job.Wrap(err, job.Internal, job.WordInternal, "The request can not be compared")
	}
	// Keyed, because secure macros are in the text: from a plain digest in the table short ones could be guessed.
	sum := hmac.New(sha256.New, s.DigestKey)
	sum.Write(text)
	return Idempotency{
		Key: key, Caller: a.User.ID, Route: route, Digest: hex.EncodeToString(sum.Sum(nil)), ExpiresAt: s.Now().UTC().Add(idempotencyLife),
	}, nil
}

// Limits of jobFiles: they live in the job's row.
const (
	maxJobFiles     = 100
	maxJobFileBytes = 512 << 10
)

func checkFiles(files map[string]string) error {
	if len(files) > maxJobFiles {
		return invalidField("jobFiles has more than %d files", maxJobFiles)
	}
	total := 0
	for name, text := range files {
		if err := CheckKey(name); err != nil {
			return job.Wrap(err, job.Invalid, job.WordInvalidField, "jobFiles: '%s' is not a file name", short(name))
		}
		if !utf8.ValidString(text) {
			return invalidField("jobFiles: '%s' is not text", short(name))
		}
		total += len(name) + len(text)
	}
	if err := checkNames(files); err != nil {
		return err
	}
	if total > maxJobFileBytes {
		return job.Errorf(job.TooLarge, job.WordTooLarge, "jobFiles has more than %d bytes", maxJobFileBytes)
	}
	return nil
}

// checkNames refuses names of files that can not be laid down together.
func checkNames(files map[string]string) error {
	for name := range files {
		for _, part := range strings.Split(name, "/") {
			if len(part) > 255 {
				return invalidField("jobFiles: a part of '%s' has more than 255 bytes", short(name))
			}
		}
		for i, c := range name { // "a" and "a/b"
			if _, clash := files[name[:i]]; c == '/' && clash {
				return invalidField("jobFiles: '%s' is both a file and a folder", short(name[:i]))
			}
		}
	}
	return nil
}
