package control

import (
	"context"
	"time"

	"waybill/internal/job"
	"waybill/internal/token"
)

// jobTokenLife bounds the life of a job's token for the case that the job is never heard of again. Its real end is the
// attempt's: see Sessions.ofJob.
const jobTokenLife = 366 * 24 * time.Hour

// JobTokens makes the access tokens that jobs call the API with: SESSION_ID of native.md, 4. Nothing of them is stored. A
// token names the attempt, and the job's row tells whether that still runs.
type JobTokens struct {
	Signer *token.Signer
	Now    Clock
}

// Issue makes the token of an attempt, with as many of the rights of who submitted the job as a job needs.
func (t JobTokens) Issue(j job.Job, fence int64) (string, error) {
	now := t.Now().UTC()
	text, err := t.Signer.Sign(token.Claims{
		UserID: submitter(j), AccountID: j.AccountID, Role: roleUser, ExpiresAt: now.Add(jobTokenLife), Job: string(j.ID), Fence: fence,
	}, now)
	if err != nil {
		return "", job.Wrap(err, job.Internal, job.WordInternal, "The token of the job can not be signed")
	}
	return text, nil
}

func submitter(j job.Job) int64 {
	if j.SubmittedBy.ID != 0 {
		return j.SubmittedBy.ID
	}
	return j.OwnerID
}

// JobFinder finds jobs.
type JobFinder interface {
	Job(ctx context.Context, account int64, id job.ID) (job.Job, error)
}

// ofJob tells whether the attempt that a token was made for still runs. It does until the job has ended, waits for another
// attempt, or another attempt has begun; a job that is asked to end has its token until then, to tidy up with.
func (s *Sessions) ofJob(ctx context.Context, c token.Claims) (j job.Job, alive bool, err error) {
	if s.Jobs == nil || !job.ValidID(c.Job) {
		return j, false, nil
	}
	j, err = s.Jobs.Job(ctx, c.AccountID, job.ID(c.Job))
	if job.CodeOf(err) == job.NotFound {
		return j, false, nil
	}
	running := j.Status == job.Running || j.Status == job.Cancelling
	return j, running && j.Fence == c.Fence && submitter(j) == c.UserID, err
}

// jobVerbs is what the token of a job is good for: to see what its submitter sees, and to start and follow what its submitter may
// start. The files of its own config are besides (job.Actor.MayFile). A program is not its submitter: whoever may change its package
// may have it do what they like.
var jobVerbs = job.VerbsOf(job.View, job.Execute)

// asJob is the program of a job on behalf of who submitted it. Nothing administrative is left of an admin, and nothing that the API key
// does not reach the job was started with: the key would come to more by what it starts.
func asJob(a job.Actor, j job.Job) job.Actor {
	if a.Admin {
		a.Admin, a.Grants = false, job.Everything()
	}
	a.Limit, a.Job = jobVerbs, &job.OwnJob{ID: j.ID, ConfigID: j.ConfigID}
	if len(j.Spec.Reach) > 0 {
		a.Key = &job.KeyGrant{Scopes: job.KeyScopes, Configs: j.Spec.Reach}
	}
	return a
}
