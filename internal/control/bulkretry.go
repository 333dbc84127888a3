package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"waybill/internal/job"
)

// maxBulkRetry is how many jobs one call looks at.
const maxBulkRetry = 1000

// BulkRetryRequest asks for retries of many jobs: those named, or those a filter finds.
type BulkRetryRequest struct {
	IDs   []string
	Where job.Expr // with Filter set; nil: every job in the actor's scope
	// Filter takes the jobs from Where in place of IDs, oldest first, behind After.
	Filter bool
	After  string // an id: where the call before ended

	Scope          job.RetryScope
	Package        PackageChoice
	Overrides      Overrides
	Force          bool
	IdempotencyKey string
	Caller         job.Caller // of each retry
}

// BulkRetried is what became of a BulkRetryRequest. Every retry in it is accepted by itself: an error later on takes none
// of them back, and a repeat of the call with the same key finds them again.
type BulkRetried struct {
	Accepted []Submitted
	Skipped  []Skipped
	More     bool   // the filter finds further jobs, behind Last
	Last     string // of a filter: the last job that was looked at
}

// RetryMany makes retries of many finished jobs. A job that can not be retried, or need not be, is skipped and its word
// says why: a user who retries all that failed does not mean those whose result a retry has completed already.
func (s *Jobs) RetryMany(ctx context.Context, a job.Actor, r BulkRetryRequest) (BulkRetried, error) {
	if err := s.checkBulk(r); err != nil {
		return BulkRetried{}, err
	}
	var out BulkRetried
	ids := r.IDs
	if r.Filter {
		q := job.Query{Where: r.Where, Size: maxBulkRetry, Keyset: true, Sort: []job.Sort{{Property: "id"}}}
		if r.After != "" {
			after := job.Compare{Property: "id", Op: job.Gt, Values: []any{r.After}}
			q.Where = job.And{after}
			if r.Where != nil {
				q.Where = job.And{r.Where, after}
			}
		}
		list, _, err := s.List(ctx, a, q)
		if err != nil {
			return BulkRetried{}, err
		}
		ids, out.More = nil, list.More
		for _, j := range list.Items {
			ids = append(ids, string(j.ID))
		}
		if len(ids) > 0 {
			out.Last = ids[len(ids)-1]
		}
	}
	known := make([]job.ID, len(ids))
	for i, id := range ids {
		known[i] = job.ID(id)
	}
	states, err := s.Records.RetryStates(ctx, a.AccountID, known)
	if err != nil {
		return BulkRetried{}, err
	}
	err = s.retryEach(ctx, a, r, ids, states, &out)
	return out, err
}

func (s *Jobs) checkBulk(r BulkRetryRequest) error {
	switch {
	case r.Filter && len(r.IDs) > 0:
		return invalidField("recordIds and a filter do not go together")
	case !r.Filter && len(r.IDs) == 0:
		return job.Errorf(job.Invalid, job.WordMissingField, "recordIds or a filter is required")
	case len(r.IDs) > maxBulkRetry:
		return invalidField("recordIds names more than %d jobs", maxBulkRetry)
	case r.After != "" && (!r.Filter || !job.ValidID(r.After)):
		return invalidField("after is the id of a job and goes with a filter")
	case !validScope(r.Scope):
		return invalidScope()
	}
	if err := r.Package.check(); err != nil {
		return err
	}
	// What is wrong with the request is wrong for every job.
	return s.override(&job.Spec{PackageName: "any"}, r.Overrides)
}

func (s *Jobs) retryEach(
	ctx context.Context, a job.Actor, r BulkRetryRequest, ids []string, states map[job.ID]job.RetryState, out *BulkRetried,
) error {
	seen := map[string]bool{}
	later := false // the engine is away: the reconciler starts the rest, and the call need not wait for it each time
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		made, err := s.retryOne(ctx, a, r, id, states[job.ID(id)], later)
		switch code := job.CodeOf(err); {
		case err == nil && made.Skipped: // its lane is full, and its config says skip
			out.Skipped = append(out.Skipped, Skipped{id, job.WordConcurrencyLimit})
		case err == nil:
			out.Accepted = append(out.Accepted, made)
			later = later || made.Job.Unreachable
		case code == job.NotFound, code == job.Forbidden, code == job.Conflict, code == job.Invalid:
			out.Skipped = append(out.Skipped, Skipped{id, job.WordOf(err)})
		default:
			return err
		}
	}
	return nil
}

func (s *Jobs) retryOne(
	ctx context.Context, a job.Actor, r BulkRetryRequest, id string, state job.RetryState, later bool,
) (Submitted, error) {
	one := RetryRequest{
		Job: id, Scope: r.Scope, Package: r.Package, Overrides: r.Overrides, Force: r.Force, Caller: r.Caller, startLater: later,
		IdempotencyKey: keyWithin(r.IdempotencyKey, id),
		needless: func(parent job.Job) error {
			switch {
			case r.Force:
				return nil
			case parent.ResolvedBy != "":
				return job.Errorf(job.Conflict, job.WordJobResolved, "Job %s is resolved by %s", id, parent.ResolvedBy)
			case state.Active != "":
				return job.Errorf(job.Conflict, job.WordRetryActive, "Retry %s of job %s has not finished", state.Active, id)
			case r.Filter && state.Made && r.Scope != job.RetryFailedRecords:
				// The filter finds the retries of the job as well, and they stand for it.
				return job.Errorf(job.Conflict, job.WordJobRetried, "Job %s has been retried", id)
			}
			return nil
		},
	}
	return s.Retry(ctx, a, one)
}

// keyWithin makes the idempotency key of one job within a call on many.
func keyWithin(key, id string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key + "\x00" + id))
	return "bulk:" + hex.EncodeToString(sum[:])
}
