package sqlstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Submit is control.JobWriter's. The time of the call is the job's ScheduledAt. Where the database does not say whether the job
// is stored, it is stored again, under the same id: that waits for the first try, if it is under way still, and then makes
// the job or finds it made. Once that has an answer, so has the caller.
func (s *Store) Submit(ctx context.Context, sub control.Submission) (job.Job, bool, error) {
	if err := checkSubmission(sub); err != nil {
		return job.Job{}, false, err
	}
	stored, replayed, err := s.submit(ctx, sub)
	for try := 1; errors.Is(err, errOutcomeUnknown) && try < transactionTries; try++ {
		stored, replayed, err = s.submit(ctx, sub)
		if errors.Is(err, errOutcomeUnknown) || job.CodeOf(err) == job.Unavailable {
			err = errors.Join(errOutcomeUnknown, err)
			continue
		}
		// Whatever the second try says, that the lane is full for instance: it may have met the first.
		mine, lookErr := s.jobIn(s.write.WithContext(ctx), sub.Job.AccountID, sub.Job.ID)
		switch {
		case lookErr == nil:
			return mine, false, nil
		case job.CodeOf(lookErr) != job.NotFound:
			err = s.unknown(lookErr)
		}
	}
	if errors.Is(err, errOutcomeUnknown) {
		err = s.unknown(err)
	}
	if err != nil {
		if job.WordOf(err) == job.WordRunActive {
			return stored, false, err
		}
		return job.Job{}, false, err
	}
	return stored, replayed, nil
}

// submit is one try of Submit.
func (s *Store) submit(ctx context.Context, sub control.Submission) (job.Job, bool, error) {
	var (
		stored   job.Job
		active   job.Job
		replayed bool
	)
	err := s.transact(ctx, func(tx *gorm.DB) (err error) {
		j := sub.Job
		defer func() {
			if err == nil {
				auditSubmit(ctx, sub, stored)
			}
		}()
		j.Status, j.Change = job.Queued, 1
		if first, err := claimKey(tx, sub); err != nil || first != "" {
			replayed = first != ""
			if err == nil {
				stored, err = s.madeBefore(tx, j.AccountID, first)
			}
			return err
		}
		if j.RetryOf != "" {
			if err := s.joinChain(tx, &j, sub.Force); err != nil {
				return err
			}
		}
		if j.Lane != "" {
			instead, err := s.enterLane(tx, &j)
			if err != nil {
				return err
			}
			if instead != "" {
				stored, err = s.skipped(tx, sub, instead)
				return err
			}
		}
		if err := s.keepDestination(tx, j.AccountID, j.Destination); err != nil {
			return err
		}
		// Last of the checks, because it holds the config's row until the transaction ends.
		number, found, err := one[int64](tx,
			"UPDATE job_configs SET runs = runs + 1 WHERE id = ? AND account_id = ? RETURNING runs", j.ConfigID, j.AccountID)
		if err != nil {
			return err
		}
		if !found {
			if number, err = orphanRun(tx, j); err != nil {
				return err
			}
		}
		j.RunNumber = number
		if sub.Alone { // the config's row is held now, so of two submissions at once the second sees the first
			if active, err = s.activeOf(tx, j.AccountID, j.ConfigID); err != nil {
				return err
			}
			if active.ID != "" {
				return job.Errorf(job.Conflict, job.WordRunActive, "Job %s of job config %d has not finished", active.ID, j.ConfigID)
			}
		}
		if stored, err = insertJob(tx, j); err != nil {
			return err
		}
		return chooseRecords(tx, j, sub.Records)
	})
	if taken(err) {
		err = job.Errorf(job.Conflict, job.WordDuplicateName, "Job %s already exists", sub.Job.ID)
	}
	if err != nil {
		return active, false, err
	}
	return stored, replayed, nil
}

// activeOf is the newest job of a config that is not final; none: the zero Job.
func (s *Store) activeOf(tx *gorm.DB, account, config int64) (job.Job, error) {
	row, found, err := one[jobRow](tx, "SELECT "+jobColumns+" FROM jobs WHERE account_id = ? AND config_id = ? AND "+unfinished+
		" ORDER BY run_number DESC, id DESC LIMIT 1", account, config)
	if err != nil || !found {
		return job.Job{}, err
	}
	return row.job()
}

// orphanRun numbers a retry of a job whose config is deleted: its package is still there, so it can run. Two at once may
// get the same number; with the config gone nothing counts by it.
func orphanRun(tx *gorm.DB, j job.Job) (int64, error) {
	if j.RetryOf == "" {
		return 0, noConfig(j.ConfigID)
	}
	last, _, err := one[int64](tx, `
		SELECT run_number FROM jobs WHERE account_id = ? AND config_id = ? ORDER BY scheduled_at DESC, id DESC LIMIT 1`,
		j.AccountID, j.ConfigID)
	return last + 1, err
}

// skipped answers a start at the limit of its lane with a job that is there already. The key of the call stands for that
// one from now on. A job of another user, which a lane may have in common, is not shown, now or to a repeat.
func (s *Store) skipped(tx *gorm.DB, sub control.Submission, instead job.ID) (job.Job, error) {
	there, err := s.jobIn(tx, sub.Job.AccountID, instead)
	if err != nil {
		return job.Job{}, err
	}
	if sub.MayShow != nil && !sub.MayShow(there.ConfigID, there.OwnerID) {
		return job.Job{}, job.Errorf(job.Conflict, job.WordConcurrencyLimit, "As many jobs of this key are there as may be at once, of another user")
	}
	if i := sub.Idempotency; i.Key != "" {
		_, err := run(tx, "UPDATE idempotency_keys SET job_id = ? WHERE account_id = ? AND caller = ? AND route = ? AND idem_key = ?",
			string(instead), sub.Job.AccountID, i.Caller, i.Route, i.Key)
		if err != nil {
			return job.Job{}, err
		}
	}
	return there, nil
}

func checkSubmission(sub control.Submission) error {
	j, i := sub.Job, sub.Idempotency
	for _, r := range sub.Records {
		if clean(r) != r {
			return job.Errorf(job.Invalid, job.WordUnknownRecord, "A record id holds a character that no id has")
		}
	}
	if !job.ValidID(string(j.ID)) {
		return job.Errorf(job.Invalid, job.WordInvalidField, "A job id has 24 lower-case hex digits")
	}
	return checkText("jobConfig.name", j.ConfigName, "packageName", j.Spec.PackageName, "entryPoint", j.Spec.EntryPoint,
		"tags", strings.Join(j.Tags, ""), "submittedByUser.name", j.SubmittedBy.Name, "message", j.Message,
		"lane", j.Lane, "Idempotency-Key", i.Key, "route", i.Route, "digest", i.Digest)
}

// claimKey takes the idempotency key for this submission, or returns the job that an earlier one with the same key and
// digest made. A key whose time is over counts as free. Of two calls at once the second waits here for the first.
func claimKey(tx *gorm.DB, sub control.Submission) (job.ID, error) {
	i, j := sub.Idempotency, sub.Job
	if i.Key == "" {
		return "", nil
	}
	claimed, err := run(tx, `
		INSERT INTO idempotency_keys (account_id, caller, route, idem_key, digest, job_id, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, caller, route, idem_key) DO UPDATE
		SET digest = excluded.digest, job_id = excluded.job_id, expires_at = excluded.expires_at
		WHERE idempotency_keys.expires_at <= ?`,
		j.AccountID, i.Caller, i.Route, i.Key, i.Digest, string(j.ID), micros(i.ExpiresAt), micros(j.ScheduledAt))
	if err != nil || claimed > 0 {
		return "", err
	}
	earlier, _, err := earlierJob(tx, j.AccountID, i, 0)
	return earlier, err
}

// earlierJob is the job that a key stands for, if the key's time is not over at now.
func earlierJob(tx *gorm.DB, account int64, i control.Idempotency, now int64) (job.ID, bool, error) {
	earlier, found, err := one[idempotencyRow](tx, `
		SELECT digest, job_id FROM idempotency_keys
		WHERE account_id = ? AND caller = ? AND route = ? AND idem_key = ? AND expires_at > ?`,
		account, i.Caller, i.Route, i.Key, now)
	if err != nil || !found {
		return "", false, err
	}
	if earlier.Digest != i.Digest {
		return "", false, job.Errorf(job.Conflict, job.WordIdempotency, "Idempotency-Key was used with a different request")
	}
	return job.ID(earlier.JobID), true, nil
}

// Replay is control.JobWriter's.
func (s *Store) Replay(ctx context.Context, account int64, i control.Idempotency, now time.Time) (job.Job, bool, error) {
	tx := s.read.WithContext(ctx)
	id, found, err := earlierJob(tx, account, i, micros(now))
	if err != nil || !found {
		return job.Job{}, false, s.fault(ctx, err)
	}
	j, err := s.madeBefore(tx, account, id)
	return j, err == nil, s.fault(ctx, err)
}

// madeBefore reads the job a key stands for. One that is over its retention may be gone before its key is: the call was made,
// so it is not made again, and what is not found is neither the config nor the route of the repeat.
func (s *Store) madeBefore(tx *gorm.DB, account int64, id job.ID) (job.Job, error) {
	j, err := s.jobIn(tx, account, id)
	if job.CodeOf(err) == job.NotFound {
		return j, job.Errorf(job.Conflict, job.WordIdempotency, "Idempotency-Key was used for job %s, which has been deleted since", id)
	}
	return j, err
}

// joinChain makes j a retry of its RetryOf: the parent must be final and, unless forced, have no unfinished retry. Retries
// within one chain are numbered from 1, so the chain's first job is locked while one is added.
func (s *Store) joinChain(tx *gorm.DB, j *job.Job, force bool) error {
	if !job.ValidID(string(j.RetryOf)) {
		return noJob(j.RetryOf)
	}
	parent, found, err := one[jobRow](tx,
		"SELECT "+jobColumns+" FROM jobs WHERE id = ? AND account_id = ?", string(j.RetryOf), j.AccountID)
	if err != nil {
		return err
	}
	if !found {
		return noJob(j.RetryOf)
	}
	if !job.Status(parent.Status).Final() {
		return job.Errorf(job.Conflict, job.WordJobNotFinished, "Job %s has not finished", j.RetryOf)
	}
	root := parent.Root
	if root == "" {
		root = parent.ID
	}
	if _, found, err := one[string](tx, "SELECT id FROM jobs WHERE id = ?"+s.forUpdate(), root); err != nil {
		return err
	} else if !found { // retention deleted the family after the parent was read
		return noJob(j.RetryOf)
	}
	if !force {
		active, found, err := one[string](tx,
			"SELECT id FROM jobs WHERE retry_of = ? AND retry_of <> '' AND "+unfinished+" LIMIT 1", string(j.RetryOf))
		if err != nil {
			return err
		}
		if found {
			return job.Errorf(job.Conflict, job.WordRetryActive, "Retry %s of job %s has not finished", active, j.RetryOf)
		}
	}
	last, _, err := one[int](tx,
		"SELECT coalesce(max(retry_number), 0) FROM jobs WHERE root = ? AND root <> ''", root)
	j.Root, j.RetryNumber = job.ID(root), last+1
	return err
}

func insertJob(tx *gorm.DB, j job.Job) (job.Job, error) {
	row := toJobRow(j)
	if err := insert(tx, row); err != nil {
		return job.Job{}, err
	}
	if err := note(tx, row); err != nil {
		return job.Job{}, err
	}
	if row.HasInputs {
		if err := insert(tx, toInputsRow(j)); err != nil {
			return job.Job{}, err
		}
		if err := insertInputFiles(tx, j); err != nil {
			return job.Job{}, err
		}
	}
	if err := insertTags(tx, jobTags, row.ID, j.AccountID, j.Tags); err != nil {
		return job.Job{}, err
	}
	stored, err := row.job()
	stored.Spec.Macros, stored.Spec.Files, stored.Spec.InMessages = j.Spec.Macros, j.Spec.Files, j.Spec.InMessages
	stored.Spec.Inputs = j.Spec.Inputs
	return stored, err
}

// tagTable is where the tags of one kind of thing are searched.
type tagTable struct{ table, owner, of string }

var (
	jobTags    = tagTable{table: "job_tags", owner: "job_id", of: "jobs.id"}
	configTags = tagTable{table: "job_config_tags", owner: "config_id", of: "job_configs.id"}
)

func insertTags(tx *gorm.DB, t tagTable, owner any, account int64, tags []string) error {
	for _, tag := range tags {
		_, err := run(tx, "INSERT INTO "+t.table+" ("+t.owner+", tag, tag_fold, account_id) VALUES (?, ?, ?, ?) "+
			"ON CONFLICT DO NOTHING", owner, tag, foldOrNull(tag), account)
		if err != nil {
			return err
		}
	}
	return nil
}
