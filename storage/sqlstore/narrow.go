package sqlstore

import (
	"context"
	"strings"

	"waybill/internal/job"
)

// maxKnownTags is how many tags an account may have for a part of one to be looked up among them; of more, those of each job are read.
const maxKnownTags = 500

// maxFoundConfigs is how many job configs a filter for what they say may stand for; of more, the one of each job is read.
const maxFoundConfigs = 1000

// maxConfigLooks is how many parts of a filter are looked up among the job configs, each with a statement of its own: what a filter may hold is
// asked by the compiler, which comes after.
const maxConfigLooks = 8

// saidByConfigs are the properties of jobs that only their job configs have, and where these have them.
var saidByConfigs = map[string]string{"jobConfig.objectId": "object_id", "jobConfig.description": "coalesce(description_fold, description)"}

// narrowed makes of a filter for jobs one that holds for the same jobs and says more: a part of a tag becomes the tags that have it, a part
// of what job configs say the configs that say it, and a part of an id that no id has holds for none. A search for a name in all columns is then
// one that the counters can answer.
func (s *Store) narrowed(ctx context.Context, account int64, e job.Expr) (job.Expr, error) {
	n := narrowing{s: s, ctx: ctx, account: account}
	e = n.expr(e, 0)
	return e, n.err
}

type narrowing struct {
	s       *Store
	ctx     context.Context
	account int64
	read    bool
	many    bool
	tags    []string // all that the account's jobs have, once read, unless they are many
	configs int      // how many the filter stands for so far
	looks   int      // at the job configs
	err     error
}

func (n *narrowing) expr(e job.Expr, depth int) job.Expr {
	if depth > maxDepth || n.err != nil {
		return e // refused by the compiler
	}
	switch e := e.(type) {
	case job.And:
		all := make(job.And, len(e))
		for i, m := range e {
			all[i] = n.expr(m, depth+1)
		}
		return all
	case job.Or:
		some := make(job.Or, 0, len(e))
		for _, m := range e {
			m = n.expr(m, depth+1)
			if or, ok := m.(job.Or); ok && len(or) == 0 {
				continue
			}
			some = append(some, m)
		}
		return some
	case job.Compare:
		if e.Op != job.Like || len(e.Values) != 1 {
			return e
		}
		part, err := textValue(e.Property, e.Values[0])
		if err != nil {
			return e
		}
		switch e.Property {
		case "id":
			if strings.Trim(fold(part), "0123456789abcdef") != "" {
				return job.Or{}
			}
		case "tags":
			return n.tagged(e, fold(part))
		}
		if column := saidByConfigs[e.Property]; column != "" && part != "" {
			return n.ofConfigs(e, column, fold(part))
		}
	}
	return e
}

// tagged is the filter for the tags that hold the part.
func (n *narrowing) tagged(e job.Compare, part string) job.Expr {
	if !n.read {
		n.read = true
		// From tag to tag along the index, however many jobs have each.
		n.tags, n.err = many[string](n.s.read.WithContext(n.ctx), `
			WITH RECURSIVE known (tag) AS (
				SELECT min(tag) FROM job_tags WHERE account_id = ?
				UNION ALL
				SELECT (SELECT min(t.tag) FROM job_tags t WHERE t.account_id = ? AND t.tag > known.tag) FROM known WHERE known.tag IS NOT NULL
			) SELECT tag FROM known WHERE tag IS NOT NULL LIMIT ?`, n.account, n.account, maxKnownTags+1)
		n.many = len(n.tags) > maxKnownTags
	}
	if n.many || n.err != nil {
		return e
	}
	var found []any
	for _, tag := range n.tags {
		if strings.Contains(fold(tag), part) {
			found = append(found, tag)
		}
	}
	if len(found) == 0 {
		return job.Or{}
	}
	return job.Compare{Property: "tags", Op: job.In, Values: found}
}

// ofConfigs is the filter for the jobs of those job configs that have the part. One that is gone says nothing, so no job of it is lost.
func (n *narrowing) ofConfigs(e job.Compare, column, part string) job.Expr {
	if n.looks++; n.looks > maxConfigLooks || n.configs > maxFoundConfigs {
		return e
	}
	c := compiler{postgres: n.s.driver == Postgres}
	has := condition{sql: "account_id = ?", args: []any{n.account}}.and(c.contains(column, part))
	var found []int64
	found, n.err = many[int64](n.s.read.WithContext(n.ctx), "SELECT id FROM job_configs WHERE "+has.sql+" LIMIT ?",
		append(has.args, maxFoundConfigs+1)...)
	if n.configs += len(found); n.err != nil || n.configs > maxFoundConfigs {
		return e
	}
	if len(found) == 0 {
		return job.Or{}
	}
	values := make([]any, len(found))
	for i, id := range found {
		values[i] = id
	}
	return job.Compare{Property: "jobConfig.id", Op: job.In, Values: values}
}
