package sqlstore

import (
	"context"
	"slices"

	"waybill/internal/job"
)

// sight is a scope with what a general user sees by owning it looked up: lists read jobs along the indexes of what is in sight.
type sight struct {
	job.Scope
	// known: Configs holds the owner's own job configs, too.
	known bool
}

// maxOwnConfigs is how many job configs of an owner are looked up.
const maxOwnConfigs = 1000

// sightOf looks up which job configs a general user owns, unless they are many.
func (s *Store) sightOf(ctx context.Context, scope job.Scope) (sight, error) {
	if scope.OwnerID == 0 {
		return sight{Scope: scope, known: true}, nil
	}
	own, err := many[int64](s.reader(ctx), "SELECT id FROM job_configs WHERE account_id = ? AND owner_id = ? LIMIT ?",
		scope.AccountID, scope.OwnerID, maxOwnConfigs+1)
	if err != nil || len(own) > maxOwnConfigs {
		return sight{Scope: scope}, err
	}
	all := slices.Concat(scope.Configs, own)
	slices.Sort(all)
	scope.Configs = slices.Compact(all)
	return sight{Scope: scope, known: true}, nil
}

// narrow tells whether a scope holds less than the account.
func narrow(s job.Scope) bool { return s.OwnerID != 0 || len(s.Only) > 0 }

// jobs limits a query of jobs, or of what is joined with them: whoever sees a job config sees its jobs. Each part names the account,
// so that each can be read along an index of its own.
func (v sight) jobs(table string) condition {
	of := condition{sql: table + "account_id = ?", args: []any{v.AccountID}}
	if v.OwnerID != 0 {
		parts := []condition{of.and(condition{sql: table + "owner_id = ?", args: []any{v.OwnerID}})}
		for _, seen := range v.seen(table + "config_id") {
			parts = append(parts, of.and(seen))
		}
		of = join(parts, " OR ")
	}
	return only(of, table+"config_id", v.Scope)
}

// counts is jobs for counters, which are read by their account.
func (v sight) counts() condition {
	of := condition{sql: "account_id = ?", args: []any{v.AccountID}}
	if v.OwnerID != 0 {
		// The plus keeps SQLite from reading them once for each part.
		of = of.and(join(append([]condition{{sql: "+owner_id = ?", args: []any{v.OwnerID}}}, v.seen("+config_id")...), " OR "))
	}
	return only(of, "+config_id", v.Scope)
}

// seen are the conditions under which a job config is in a general user's sight.
func (v sight) seen(column string) (some []condition) {
	if !v.known {
		some = append(some, condition{
			sql: column + " IN (SELECT id FROM job_configs WHERE account_id = ? AND owner_id = ?)", args: []any{v.AccountID, v.OwnerID},
		})
	}
	if len(v.Configs) > 0 {
		some = append(some, condition{sql: column + " IN ?", args: []any{idsOf(v.Configs)}})
	}
	return some
}

// sees tells whether all jobs of a job config are in sight, as far as that is known.
func (v sight) sees(config int64) bool {
	if len(v.Only) > 0 && !slices.Contains(v.Only, config) {
		return false
	}
	if v.OwnerID == 0 {
		return true
	}
	_, found := slices.BinarySearch(v.Configs, config)
	return v.known && found
}

// of limits a query of one job config's jobs to those in sight. It says no more than that takes: PostgreSQL plans a query of many such parts
// the longer, the more each says.
func (v sight) of(config int64) condition {
	switch {
	case v.sees(config):
		return always
	case v.known && (len(v.Only) == 0 || slices.Contains(v.Only, config)): // their own jobs of somebody else's config
		return condition{sql: "owner_id = ?", args: []any{v.OwnerID}}
	}
	return v.jobs("")
}

// branches are the parts of what is in sight, each in the order of lists along an index: the user's own jobs, and those of each job
// config they see. A job may be in two of them. Nil: the whole account, or more parts than a page is put together from.
func (v sight) branches() (some []branch) {
	configs := v.Configs
	if len(v.Only) > 0 {
		configs = v.Only
	}
	if !narrow(v.Scope) || !v.known || len(configs) >= maxOwnBranches {
		return nil
	}
	of := condition{sql: "account_id = ?", args: []any{v.AccountID}}
	mine := condition{sql: "owner_id = ?", args: []any{v.OwnerID}}
	if len(v.Only) == 0 {
		some = append(some, branch{condition: of.and(mine), index: "jobs_owner"})
	}
	for _, config := range configs {
		b := branch{condition: of.and(condition{sql: "config_id = ?", args: []any{config}}), index: "jobs_config"}
		if !v.sees(config) { // one that a key is for, and where only the user's own jobs are theirs to see
			b.condition = b.and(mine)
		}
		some = append(some, b)
	}
	return some
}
