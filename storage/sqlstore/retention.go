package sqlstore

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// configsPerStep bounds how many configs one call of ExpireJobs looks at.
const configsPerStep = 2000

// ExpireJobs is control.RetentionStore's. Jobs are found by two indexes of finished jobs, from the oldest on; the only thing
// whose cost grows with what is kept is finding the last job of a count, which reads that many entries of an index.
func (s *Store) ExpireJobs(
	ctx context.Context, r job.RetentionRun, from job.RetentionMark, limit int,
) (next job.RetentionMark, taken int, err error) {
	x := &expiry{store: s, ctx: ctx, run: r, mark: from}
	if from.Account > 0 { // the rules may have been changed since, but the bound under way is finished as it was begun
		if err := x.open(from.Account, false); err != nil {
			return from, 0, s.fault(ctx, err)
		}
	}
	for looked := 0; taken < limit && looked < configsPerStep && !x.mark.Done; {
		if x.mark.Bound == (job.RetentionPlace{}) {
			looked++
			err = x.nextConfig()
		} else {
			var n int
			n, err = x.take(limit - taken)
			taken += n
		}
		if err != nil {
			// What was taken stays taken, and the next call finds the rest from where it began.
			return from, taken, s.fault(ctx, err)
		}
	}
	return x.mark, taken, nil
}

// expiry is one call of ExpireJobs.
type expiry struct {
	store *Store
	ctx   context.Context //nolint:containedctx // of the one call
	run   job.RetentionRun
	mark  job.RetentionMark
	rule  job.Retention // of the account the mark is at, with the system's limits below
}

func (x *expiry) read() *gorm.DB { return x.store.background.read.WithContext(x.ctx) }

// open reads the rule of an account; fresh begins with it.
func (x *expiry) open(id int64, fresh bool) error {
	a, err := x.store.Account(x.ctx, id)
	if err != nil {
		return err
	}
	x.rule = a.Retention.Over(x.run.Default)
	if !fresh {
		return nil
	}
	x.mark = job.RetentionMark{Account: id}
	if x.rule.MaxCount > 0 {
		// Configs with a count of their own keep to it, and their jobs count for nobody else.
		x.mark.Floor, err = x.place(`
			SELECT finished_at, id FROM jobs WHERE account_id = ? AND finished_at IS NOT NULL AND config_id NOT IN
				(SELECT id FROM job_configs WHERE account_id = ? AND keep_count > 0)
			ORDER BY finished_at DESC, id DESC LIMIT 1 OFFSET ?`, id, id, x.rule.MaxCount)
		if err != nil {
			return err
		}
	}
	return x.store.resultOf(x.ctx, x.run, id, func(*job.RetentionResult) {})
}

func (x *expiry) place(query string, args ...any) (job.RetentionPlace, error) {
	p, _, err := one[placeRow](x.read(), query, args...)
	return job.RetentionPlace{Finished: p.Finished, Job: job.ID(p.ID)}, err
}

type placeRow struct {
	Finished int64  `gorm:"column:finished_at"`
	ID       string `gorm:"column:id"`
}

// nextConfig moves the mark to the next config that has something to look at, over the end of the account if need be.
func (x *expiry) nextConfig() error {
	id, found, err := x.configAfter(x.mark.Config)
	if err != nil {
		return err
	}
	if !found {
		return x.nextAccount()
	}
	own, _, err := one[keepRow](x.read(), "SELECT keep_age, keep_count FROM job_configs WHERE id = ? AND account_id = ?", id, x.mark.Account)
	if err != nil {
		return err
	}
	bound := x.mark.Floor
	if own.Count > 0 {
		bound, err = x.place(`
			SELECT finished_at, id FROM jobs WHERE account_id = ? AND config_id = ? AND finished_at IS NOT NULL
			ORDER BY finished_at DESC, id DESC LIMIT 1 OFFSET ?`, x.mark.Account, id, own.Count)
		if err != nil {
			return err
		}
	}
	if age := (job.Retention{MaxAge: time.Duration(own.Age)}).Over(x.rule).MaxAge; age > 0 {
		bound = later(bound, endedBefore(x.run.Now.Add(-age)))
	}
	if settled := endedBefore(x.run.Settled); settled.Before(bound) {
		bound = settled
	}
	x.mark.Config, x.mark.Bound, x.mark.At = id, bound, job.RetentionPlace{}
	return nil
}

type keepRow struct {
	Age   int64 `gorm:"column:keep_age"`
	Count int64 `gorm:"column:keep_count"`
}

// endedBefore is behind every job that ended before the time, and before all others: ids are hex digits.
func endedBefore(t time.Time) job.RetentionPlace {
	return job.RetentionPlace{Finished: micros(t) - 1, Job: "~"}
}

func later(a, b job.RetentionPlace) job.RetentionPlace {
	if a.Before(b) {
		return b
	}
	return a
}

// configAfter finds the next config to look at: where the account has limits one that has finished jobs, also one that was
// deleted; else one with limits of its own.
func (x *expiry) configAfter(id int64) (int64, bool, error) {
	if x.mark.Account == 0 {
		return 0, false, nil
	}
	query := "SELECT id FROM job_configs WHERE account_id = ? AND id > ? AND (keep_age > 0 OR keep_count > 0) ORDER BY id LIMIT 1"
	if x.rule != (job.Retention{}) {
		query = "SELECT config_id FROM jobs WHERE account_id = ? AND config_id > ? AND finished_at IS NOT NULL ORDER BY config_id LIMIT 1"
	}
	return one[int64](x.read(), query, x.mark.Account, id)
}

func (x *expiry) nextAccount() error {
	if x.mark.Account > 0 {
		err := x.store.resultOf(x.ctx, x.run, x.mark.Account, func(r *job.RetentionResult) { r.Done = true })
		if err != nil {
			return err
		}
	}
	id, found, err := one[int64](x.read(), "SELECT id FROM accounts WHERE id > ? ORDER BY id LIMIT 1", x.mark.Account)
	if err != nil {
		return err
	}
	if !found {
		x.mark = job.RetentionMark{Done: true}
		return nil
	}
	return x.open(id, true)
}

// familyFree holds for a finished job c (see take) of whose family nothing is unfinished, not rolled up, or newer than the
// bound, or is still to be told to somebody outside. Members share their first's config and so its bound.
const familyFree = `
	NOT EXISTS (SELECT 1 FROM jobs m WHERE m.root = CASE WHEN c.root = '' THEN c.id ELSE c.root END AND m.root <> ''
		AND (m.finished_at IS NULL OR NOT m.rolled_up OR (m.finished_at, m.id) > (?, ?) OR ` + pendingFor + `))
	AND NOT EXISTS (SELECT 1 FROM jobs m WHERE m.id = CASE WHEN c.root = '' THEN c.id ELSE c.root END
		AND (m.finished_at IS NULL OR (m.finished_at, m.id) > (?, ?) OR ` + pendingFor + `))`

// pendingFor holds for a job m of which somebody is still to be told.
const pendingFor = `EXISTS (SELECT 1 FROM deliveries d WHERE d.job_id = m.id AND d.status IN ('pending', 'delivering'))`

// take takes the next jobs of the config, with their families.
func (x *expiry) take(limit int) (taken int, err error) {
	at, to := x.mark.At, x.mark.Bound
	rows, err := many[candidateRow](x.read(), `
		SELECT c.finished_at, c.id, c.root FROM jobs c
		WHERE c.finished_at IS NOT NULL
			AND (c.account_id, c.config_id, c.finished_at, c.id) > (?, ?, ?, ?)
			AND (c.account_id, c.config_id, c.finished_at, c.id) <= (?, ?, ?, ?) AND `+familyFree+`
		ORDER BY c.account_id, c.config_id, c.finished_at, c.id LIMIT ?`, // written so that one index fits, and no other
		x.mark.Account, x.mark.Config, at.Finished, string(at.Job), x.mark.Account, x.mark.Config, to.Finished, string(to.Job),
		to.Finished, string(to.Job), to.Finished, string(to.Job), limit)
	if err != nil {
		return 0, err
	}
	var done []string
	for _, row := range rows {
		x.mark.At = job.RetentionPlace{Finished: row.Finished, Job: job.ID(row.ID)}
		root := row.Root
		if root == "" {
			root = row.ID
		}
		if slices.Contains(done, root) {
			continue
		}
		n, err := x.store.takeFamily(x.ctx, x.mark.Account, root, to, x.store.now())
		if err != nil {
			return taken, err
		}
		done, taken = append(done, root), taken+n
	}
	if len(rows) < limit {
		x.mark.Bound, x.mark.At = job.RetentionPlace{}, job.RetentionPlace{}
	}
	return taken, nil
}

type candidateRow struct {
	Finished int64  `gorm:"column:finished_at"`
	ID       string `gorm:"column:id"`
	Root     string `gorm:"column:root"`
}

type memberRow struct {
	ID       string `gorm:"column:id"`
	Finished *int64 `gorm:"column:finished_at"`
	RetryOf  string `gorm:"column:retry_of"`
	RolledUp bool   `gorm:"column:rolled_up"`
	Pending  bool   // somebody outside is still to be told
}

// takeFamily deletes the rows of a family, unless something has happened to it since it was found. The first of the chain is
// locked, as it is while a retry is added (joinChain), so that no retry is made of a job that goes.
func (s *Store) takeFamily(ctx context.Context, account int64, root string, bound job.RetentionPlace, now time.Time) (taken int, err error) {
	err = s.transactLater(ctx, func(tx *gorm.DB) error {
		taken = 0
		if _, _, err := one[string](tx, "SELECT id FROM jobs WHERE id = ?"+s.forUpdate(), root); err != nil {
			return err
		}
		members, err := many[memberRow](tx, `
			SELECT id, finished_at, retry_of, rolled_up, `+pendingFor+` FROM jobs m WHERE id = ? AND account_id = ? UNION ALL
			SELECT id, finished_at, retry_of, rolled_up, `+pendingFor+` FROM jobs m WHERE root = ? AND root <> '' AND account_id = ?`,
			root, account, root, account)
		if err != nil {
			return err
		}
		var ids []string
		for _, m := range members {
			if m.Finished == nil || m.Pending || m.RetryOf != "" && !m.RolledUp ||
				bound.Before(job.RetentionPlace{Finished: *m.Finished, Job: job.ID(m.ID)}) {
				return nil
			}
			ids = append(ids, m.ID)
		}
		for some := range slices.Chunk(ids, configsAtOnce) {
			if _, err := run(tx, "DELETE FROM jobs WHERE id IN ?", some); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if _, err := run(tx, "INSERT INTO job_purges (job_id, account_id, taken_at) VALUES (?, ?, ?)", id, account, micros(now)); err != nil {
				return err
			}
		}
		taken = len(ids)
		return nil
	})
	return taken, err
}

// Purges is control.RetentionStore's.
func (s *Store) Purges(ctx context.Context, after job.ID, limit int) ([]job.Purge, error) {
	rows, err := many[purgeRow](s.read.WithContext(ctx),
		"SELECT job_id, account_id, taken_at FROM job_purges WHERE job_id > ? ORDER BY job_id LIMIT ?", string(after), limit)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	purges := make([]job.Purge, 0, len(rows))
	for _, r := range rows {
		purges = append(purges, job.Purge{ID: job.ID(r.JobID), AccountID: r.AccountID, TakenAt: timeOf(r.TakenAt)})
	}
	return purges, nil
}

type purgeRow struct {
	JobID     string `gorm:"column:job_id"`
	AccountID int64  `gorm:"column:account_id"`
	TakenAt   int64  `gorm:"column:taken_at"`
}

// PurgeDone is control.RetentionStore's.
func (s *Store) PurgeDone(ctx context.Context, r job.RetentionRun, p job.Purge, deleted job.Purged) (first bool, err error) {
	err = s.transactLater(ctx, func(tx *gorm.DB) error {
		n, err := run(tx, "DELETE FROM job_purges WHERE job_id = ?", string(p.ID))
		if first = n > 0; err != nil || !first {
			return err
		}
		return s.addResult(tx, r, p.AccountID, func(result *job.RetentionResult) { result.Purged = result.Plus(deleted) })
	})
	return first && err == nil, err
}

// RetentionResult is control.RetentionStore's.
func (s *Store) RetentionResult(ctx context.Context, account int64) (job.RetentionResult, error) {
	var result job.RetentionResult
	text, found, err := one[string](s.read.WithContext(ctx), "SELECT retention_result FROM accounts WHERE id = ?", account)
	switch {
	case err != nil:
		return result, s.fault(ctx, err)
	case !found:
		return result, noAccount(account)
	case text == "":
		return result, nil
	}
	return result, s.fault(ctx, fromJSON(text, &result))
}

func (s *Store) resultOf(ctx context.Context, r job.RetentionRun, account int64, change func(*job.RetentionResult)) error {
	return s.transactLater(ctx, func(tx *gorm.DB) error { return s.addResult(tx, r, account, change) })
}

// addResult changes what is told of the run in an account; the first change of a run begins anew.
func (s *Store) addResult(tx *gorm.DB, r job.RetentionRun, account int64, change func(*job.RetentionResult)) error {
	text, found, err := one[string](tx, "SELECT retention_result FROM accounts WHERE id = ?"+s.forUpdate(), account)
	if err != nil || !found {
		return err
	}
	var result job.RetentionResult
	if text != "" {
		if err := fromJSON(text, &result); err != nil {
			return err
		}
	}
	if !result.Started.Equal(r.Started) {
		result = job.RetentionResult{Started: r.Started.UTC()}
	}
	result.Written = s.now().UTC()
	change(&result)
	_, err = run(tx, "UPDATE accounts SET retention_result = ? WHERE id = ?", toJSON(result), account)
	return err
}
