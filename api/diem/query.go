package diem

import (
	"strings"

	"waybill/internal/job"
)

// maxRows is how many rows a list gives (diem.md, 4.3).
const maxRows = 1000

// names are how a list's properties are called in one of the stores' lists.
type names struct {
	name, description, status, pkg, jobid, mine, scheduled, pipeline, tags string
	sort                                                                   map[string]string
}

// inDocuments are the names in lists of configs with their newest runs.
var inDocuments = names{
	name: "name", description: "description", status: "run.status", pkg: "runtimeConfig.packageName", jobid: "objectId", mine: "createdByUser.id",
	scheduled: "scheduled", pipeline: "run.steps", tags: "tags",
	sort: map[string]string{
		"name": "name", "description": "description", "status": "run.word", "jobstart": "run.started", "jobend": "run.finished", "runby": "run.by",
		"count": "run.written", "email": "run.user", "error": "run.message", "runtime": "run.seconds", "executor": "run.steps",
		"createddate": "created",
	},
}

// inRuns are the names in lists of runs.
var inRuns = names{
	name: "jobConfig.name", description: "jobConfig.description", status: "status", pkg: "packageName", jobid: "jobConfig.objectId",
	mine: "submittedByUser.id", pipeline: "moreSteps",
}

// listQuery makes a query of the arguments of a list; none tells that nothing can match.
func (c *call) listQuery(in args, n names) (q job.Query, none bool, err error) {
	first, err := in.number("first", 0)
	if err != nil {
		return q, false, err
	}
	rows, err := in.number("rows", 0)
	if err != nil {
		return q, false, err
	}
	if q.Offset, q.Size = max(0, first), rows; rows <= 0 || rows > maxRows {
		q.Size = maxRows
	}
	order := job.Sort{Property: n.sort[in.word("sortField")], Desc: in.word("sortOrder") == "1"}
	if order.Property == "" {
		order.Property = n.sort["name"]
	}
	if order.Property != "" {
		q.Sort = []job.Sort{order}
	}
	where, none, err := c.conditions(in, n)
	q.Where = where
	return q, none, err
}

func (c *call) conditions(in args, n names) (where job.And, none bool, err error) {
	add := func(property string, op job.Op, values ...any) {
		where = append(where, job.Compare{Property: property, Op: op, Values: values})
	}
	status := func(is func(word string) bool) {
		list := statusesOf(is)
		if none = none || len(list) == 0; !none {
			where = append(where, statusIs(n.status, list))
		}
	}
	words, err := in.words("status")
	if err != nil {
		return nil, false, err
	}
	if len(words) > 0 {
		status(func(word string) bool {
			for _, wanted := range words {
				if strings.EqualFold(word, wanted) {
					return true
				}
			}
			return false
		})
	}
	switch kind := in.word("type"); kind {
	case "":
	case "pipeline", "pycustom":
		add(n.pipeline, job.Eq, kind == "pipeline")
	default:
		none = true
	}
	if in.flag("mine") {
		add(n.mine, job.Eq, c.Actor.User.ID)
	}
	if in.flag("scheduled") {
		if n.scheduled == "" {
			add("trigger", job.Eq, string(job.TriggerSchedule))
		} else {
			add(n.scheduled, job.Eq, true)
		}
	}
	if n.tags != "" {
		tags, err := in.words("tags")
		if err != nil {
			return nil, false, err
		}
		where = append(where, tagged(n.tags, tags, strings.EqualFold(in.word("tagstype"), "any"))...)
	}
	reference := in.word("reference")
	if reference == "" {
		return where, none, nil
	}
	switch in.word("search") {
	case "name":
		add(n.name, job.Like, reference)
	case "description":
		add(n.description, job.Like, reference)
	case "sql":
		add(n.pkg, job.Like, reference)
	case "jobid":
		add(n.jobid, job.Like, reference)
	case "status":
		status(func(word string) bool { return contains(word, reference) })
	}
	return where, none, nil
}

// statusIs holds for the statuses of a list; the empty one is that of nothing that ran.
func statusIs(property string, list []any) job.Expr {
	var or job.Or
	var some []any
	for _, s := range list {
		if s == job.Status("") {
			or = append(or, job.Compare{Property: property, Op: job.Null})
			continue
		}
		some = append(some, s)
	}
	if len(some) > 0 {
		or = append(or, job.Compare{Property: property, Op: job.In, Values: some})
	}
	return or
}

func tagged(property string, tags []string, anyOfThem bool) (where job.And) {
	var either job.Or
	for _, tag := range tags {
		one := job.Compare{Property: property, Op: job.Eq, Values: []any{tag}}
		where, either = append(where, one), append(either, one)
	}
	if anyOfThem && len(either) > 0 {
		return job.And{either}
	}
	return where
}
