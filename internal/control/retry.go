package control

import (
	"context"
	"slices"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// PackageChoice says which version of the package a retry runs.
type PackageChoice string

// The choices. A packageVersion in the overrides goes before either.
const (
	PackageOriginal PackageChoice = "original" // the one the parent ran; the default
	PackageLatest   PackageChoice = "latest"   // the newest of the same file key
)

func (p PackageChoice) check() error {
	if p != "" && p != PackageOriginal && p != PackageLatest {
		return invalidField("package is original or latest")
	}
	return nil
}

// RetryRequest asks for a new job made from a finished one.
type RetryRequest struct {
	Job            string
	Scope          job.RetryScope // empty: all
	RecordIDs      []string       // failed_records only; empty: all that are open
	Package        PackageChoice  `json:",omitempty"`
	Overrides      Overrides
	Force          bool // allow it while another retry of the job is unfinished
	IdempotencyKey string
	Caller         job.Caller `json:"-"` // what the caller calls this retry; a repeat may call it otherwise

	startLater bool                       // leave the start to the reconciler
	needless   func(parent job.Job) error // says why the job need not be retried; nil: it is wanted anyway
}

// Retry makes a new job from a finished one. It runs the same snapshot - package version, macros, limits - with the
// overrides laid over it, and its success completes the result of every job above it. The config may be gone; what a
// retry needs is the parent and its package.
func (s *Jobs) Retry(ctx context.Context, a job.Actor, r RetryRequest) (made Submitted, err error) {
	parent, err := s.For(ctx, a, r.Job, job.Execute)
	if err != nil {
		return Submitted{}, err
	}
	if err := s.mayStart(ctx, a, parent); err != nil {
		return Submitted{}, err
	}
	ctx, span := tracing.Start(ctx, "retry job", tracing.Link(parent.Spec.Trace)...)
	defer func() { s.endSubmit(span, job.TriggerRetry, made, err) }()
	key, first, err := s.repeated(ctx, a, "retry/"+string(parent.ID), r.IdempotencyKey, r)
	if err != nil || first.Replayed {
		if err == nil && !r.startLater {
			s.resume(ctx, &first.Job)
		}
		return first, err
	}
	if r.needless != nil {
		if err := r.needless(parent); err != nil {
			return Submitted{}, err
		}
	}
	if err := checkScope(parent, &r); err != nil {
		return Submitted{}, err
	}
	spec := parent.Spec
	spec.Callbacks = slices.DeleteFunc(slices.Clone(spec.Callbacks), func(c job.Callback) bool { return c.Door != "" }) // of the parent's start alone
	spec.Schedule, spec.Caller = "", r.Caller
	if spec.Fault != "" && spec.ParameterFile != "" { // it may be there by now
		if err := s.layParameters(ctx, parent.AccountID, parent.ConfigID, spec.ParameterFile, &spec); err != nil {
			return Submitted{}, err
		}
	}
	if err := s.prepareScope(ctx, parent, &r, &spec); err != nil {
		return Submitted{}, err
	}
	if err := s.choosePackage(ctx, parent, r, &spec); err != nil {
		return Submitted{}, err
	}
	return s.accept(ctx, a, Submission{
		Job: job.Job{
			ConfigID: parent.ConfigID, ConfigName: parent.ConfigName, Spec: spec, Destination: parent.Destination,
			Tags: parent.Tags, RetryOf: parent.ID, RetryScope: r.Scope, Trigger: job.TriggerRetry,
		},
		Idempotency: key, Force: r.Force, Records: r.RecordIDs, StartLater: r.startLater,
	})
}

// choosePackage lays the overrides over the snapshot and binds the package they ask for. The parent's own is bound already,
// even if nothing leads to it any more but the parent.
func (s *Jobs) choosePackage(ctx context.Context, parent job.Job, r RetryRequest, spec *job.Spec) error {
	if err := r.Package.check(); err != nil {
		return err
	}
	if err := s.override(spec, r.Overrides); err != nil {
		return err
	}
	latest := r.Package == PackageLatest && r.Overrides.PackageVersion == nil
	if latest {
		spec.PackageVersion = 0
	}
	mended := spec.Fault == "" && parent.Spec.Fault != "" // what the package expects of macros has not been looked at
	if latest || mended || spec.PackageName != parent.Spec.PackageName || spec.PackageVersion != parent.Spec.PackageVersion {
		return s.bind(ctx, parent.AccountID, parent.ConfigID, spec)
	}
	_, err := s.Objects.Stat(ctx, job.BlobKey(parent.AccountID, spec.PackageSHA256))
	if job.CodeOf(err) == job.NotFound {
		return job.Wrap(err, job.Invalid, job.WordPackageMissing, "Version %d of package '%s' is not kept any more", spec.PackageVersion, short(spec.PackageName))
	}
	return nil // an object store that is away is the worker's to wait for
}

func validScope(s job.RetryScope) bool {
	return s == "" || s == job.RetryAll || s == job.RetryFailedStep || s == job.RetryFailedRecords
}

func invalidScope() error { return invalidField("scope is all, failed_step or failed_records") }

func checkScope(parent job.Job, r *RetryRequest) error {
	if !validScope(r.Scope) {
		return invalidScope()
	}
	if r.Scope == "" {
		r.Scope = job.RetryAll
	}
	if len(r.RecordIDs) > 0 && r.Scope != job.RetryFailedRecords {
		return invalidField("recordIds goes with scope failed_records only")
	}
	if !parent.Status.Final() {
		return job.Errorf(job.Conflict, job.WordJobNotFinished, "Job %s has not finished", parent.ID)
	}
	none := r.Scope == job.RetryFailedRecords && parent.ErrorsOpen == 0 && len(r.RecordIDs) == 0
	if none || r.Scope == job.RetryFailedStep && parent.Status == job.Completed {
		return job.Errorf(job.Conflict, job.WordNothingToRetry, "Job %s has nothing of that scope to retry", parent.ID)
	}
	return nil
}
