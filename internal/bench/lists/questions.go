package lists

import (
	"context"
	"fmt"
	"math/rand/v2"

	"waybill/internal/job"
	"waybill/storage/sqlstore/seed"
)

// question is one kind of read; ask does it once, about something else each time.
type question struct {
	name string
	ask  func(ctx context.Context, s *set, r *rand.Rand) error
}

// any is the number of a job of the account that is asked for, ended and not the one with ten thousand errors.
func (s *set) any(r *rand.Rand) int {
	for {
		if i := 1 + r.IntN(s.jobs-seed.Unfinished); i%100 < 80 && i != seed.WithErrors {
			return i
		}
	}
}

func (s *set) id(r *rand.Rand) job.ID { return job.ID(seed.ID(s.any(r))) }

// retried is a job with a retry: every hundredth has one.
func (s *set) retried(r *rand.Rand) job.ID {
	return job.ID(seed.ID(49 + 100*r.IntN((s.jobs-seed.Unfinished-50)/100)))
}

func compare(property string, op job.Op, values ...any) job.Expr {
	return job.Compare{Property: property, Op: op, Values: values}
}

func is(property string, value any) job.Expr { return compare(property, job.Eq, value) }

// list asks for a page of 25 with its statistics, as the REST API does.
func list(q func(s *set, r *rand.Rand) job.Query) func(context.Context, *set, *rand.Rand) error {
	return func(ctx context.Context, s *set, r *rand.Rand) error {
		asked := q(s, r)
		asked.Scope.AccountID, asked.Size, asked.Stats = s.account, 25, true
		found, _, err := s.store.Jobs(ctx, asked)
		if err != nil {
			return err
		}
		ids := make([]job.ID, len(found.Items))
		for i, j := range found.Items {
			ids[i] = j.ID
		}
		_, err = s.store.RetryStates(ctx, s.account, ids)
		return err
	}
}

func filtered(where func(s *set, r *rand.Rand) job.Expr) func(context.Context, *set, *rand.Rand) error {
	return list(func(s *set, r *rand.Rand) job.Query { return job.Query{Where: where(s, r)} })
}

// between holds for jobs that were scheduled from the one number to the other.
func between(from, to int) job.Expr {
	at := func(i int) string { return fmt.Sprint(seed.Time(i) / 1000) }
	return job.And{compare("scheduled", job.Gte, at(from)), compare("scheduled", job.Lte, at(to))}
}

// anywhere is what the parameter filter of the REST API asks for when it names no property.
func anywhere(text string) job.Expr {
	return job.Or{compare("id", job.Like, text), compare("jobConfig.name", job.Like, text), compare("packageName", job.Like, text),
		compare("tags", job.Like, text)}
}

// joblog asks as the DIEM door's function of that name does: for ended jobs, those that began last first, without statistics.
func joblog(where func(s *set, r *rand.Rand) job.Expr) func(context.Context, *set, *rand.Rand) error {
	return func(ctx context.Context, s *set, r *rand.Rand) error {
		ended := job.And{compare("status", job.In, job.Completed, job.Failed, job.Cancelled)}
		if where != nil {
			ended = append(ended, where(s, r))
		}
		_, _, err := s.store.Jobs(ctx, job.Query{
			Scope: job.Scope{AccountID: s.account}, Where: ended, Sort: []job.Sort{{Property: "started", Desc: true}}, Size: 25, Offset: 25 * r.IntN(4),
		})
		return err
	}
}

// activityLog asks as the Informatica door's list of that name does.
func activityLog(of func(s *set, r *rand.Rand) (scope job.Scope, config, run int64)) func(context.Context, *set, *rand.Rand) error {
	return func(ctx context.Context, s *set, r *rand.Rand) error {
		scope, config, run := of(s, r)
		scope.AccountID = s.account
		_, err := s.store.Ended(ctx, scope, config, run, 0, 25)
		return err
	}
}

func sorted(property string) func(context.Context, *set, *rand.Rand) error {
	return list(func(_ *set, r *rand.Rand) job.Query {
		return job.Query{Sort: []job.Sort{{Property: property, Desc: true}}, Offset: 25 * r.IntN(4)}
	})
}

var questions = []question{
	{"one job", func(ctx context.Context, s *set, r *rand.Rand) error {
		_, err := s.store.Job(ctx, s.account, s.id(r))
		return err
	}},
	{"attempts of a job", func(ctx context.Context, s *set, r *rand.Rand) error {
		_, err := s.store.Attempts(ctx, s.account, s.id(r))
		return err
	}},
	{"family of a retried job", func(ctx context.Context, s *set, r *rand.Rand) error {
		_, err := s.store.Family(ctx, s.account, s.retried(r))
		return err
	}},
	{"errors of a job with 10,000", func(ctx context.Context, s *set, r *rand.Rand) error {
		_, err := s.store.Errors(ctx, s.account, job.ID(seed.ID(seed.WithErrors)), job.Query{Size: 25, Offset: r.IntN(200)})
		return err
	}},
	{"errors of a job with 20", func(ctx context.Context, s *set, r *rand.Rand) error {
		at := 3 + 500*(1+r.IntN((s.jobs-seed.Unfinished)/500-1))
		_, err := s.store.Errors(ctx, s.account, job.ID(seed.ID(at)), job.Query{Size: 25})
		return err
	}},
	{"first pages", list(func(_ *set, r *rand.Rand) job.Query { return job.Query{Offset: 25 * r.IntN(4)} })},
	{"cursor, anywhere in the list", list(func(s *set, r *rand.Rand) job.Query {
		i := s.any(r)
		return job.Query{Keyset: true, After: []string{fmt.Sprint(seed.Time(i)), seed.ID(i)}}
	})},
	{"first pages of an owner", list(func(s *set, r *rand.Rand) job.Query {
		return job.Query{Scope: job.Scope{OwnerID: seed.Owner(s.account, r.IntN(seed.Owners))}, Offset: 25 * r.IntN(4)}
	})},
	{"statistics alone", list(func(s *set, _ *rand.Rand) job.Query {
		return job.Query{Keyset: true, Sort: []job.Sort{{Property: "scheduled"}}}
	})},
	{"status", filtered(func(_ *set, r *rand.Rand) job.Expr {
		return is("status", []job.Status{job.Completed, job.Failed, job.Cancelled, job.Queued}[r.IntN(4)])
	})},
	{"status and reason", filtered(func(_ *set, r *rand.Rand) job.Expr {
		return job.And{is("status", job.Failed), is("reason", []job.Reason{job.ReasonError, job.ReasonTimeout}[r.IntN(2)])}
	})},
	{"config", filtered(func(s *set, r *rand.Rand) job.Expr {
		return is("jobConfig.id", seed.Config(s.account, r.IntN(seed.Configs)))
	})},
	{"config and status", filtered(func(s *set, r *rand.Rand) job.Expr {
		return job.And{is("jobConfig.id", seed.Config(s.account, r.IntN(seed.Configs))), is("status", job.Failed)}
	})},
	{"destination", filtered(func(_ *set, r *rand.Rand) job.Expr { return is("destination.id", 1+r.IntN(5)) })},
	{"config name like", filtered(func(_ *set, r *rand.Rand) job.Expr {
		return compare("jobConfig.name", job.Like, fmt.Sprintf("FIG %d", r.IntN(100)))
	})},
	{"dates, 500 s", filtered(func(s *set, r *rand.Rand) job.Expr {
		i := r.IntN(s.jobs - 500)
		return between(i, i+500)
	})},
	{"status and dates, 500 s", filtered(func(s *set, r *rand.Rand) job.Expr {
		i := r.IntN(s.jobs - 500)
		return job.And{is("status", job.Failed), between(i, i+500)}
	})},
	{"dates, half of all", filtered(func(s *set, r *rand.Rand) job.Expr {
		i := r.IntN(s.jobs / 2)
		return between(i, i+s.jobs/2)
	})},
	{"a tag of 0.05 %", filtered(func(*set, *rand.Rand) job.Expr { return is("tags", "rare") })},
	{"a tag of 1 %", filtered(func(*set, *rand.Rand) job.Expr { return is("tags", "audit") })},
	{"a tag of 10 %", filtered(func(*set, *rand.Rand) job.Expr { return is("tags", "nightly") })},
	{"a job's id", filtered(func(s *set, r *rand.Rand) job.Expr { return is("id", string(s.id(r))) })},
	{"retries of a job", filtered(func(s *set, r *rand.Rand) job.Expr { return is("retryOf", string(s.retried(r))) })},
	{"filter= of a config's name", filtered(func(_ *set, r *rand.Rand) job.Expr { return anywhere(fmt.Sprintf("fig %d", r.IntN(100))) })},
	{"filter= of nothing", filtered(func(_ *set, r *rand.Rand) job.Expr { return anywhere(fmt.Sprintf("zz%d", r.IntN(100))) })},
	{"sorted by finished", sorted("finished")},
	{"sorted by started", sorted("started")},
	{"sorted by started, of an owner", list(func(s *set, r *rand.Rand) job.Query {
		return job.Query{Scope: job.Scope{OwnerID: seed.Owner(s.account, r.IntN(seed.Owners))}, Sort: []job.Sort{{Property: "started", Desc: true}}}
	})},
	{"joblog", joblog(nil)},
	{"joblog of a status", joblog(func(_ *set, r *rand.Rand) job.Expr {
		return is("status", []job.Status{job.Completed, job.Failed, job.Cancelled}[r.IntN(3)])
	})},
	{"joblog of a config", joblog(func(s *set, r *rand.Rand) job.Expr {
		return compare("jobConfig.objectId", job.Like, fmt.Sprintf("%024x", seed.Config(s.account, r.IntN(seed.Configs))))
	})},
	{"activityLog", activityLog(func(*set, *rand.Rand) (_ job.Scope, _, _ int64) { return })},
	{"activityLog of an owner", activityLog(func(s *set, r *rand.Rand) (_ job.Scope, _, _ int64) {
		return job.Scope{OwnerID: seed.Owner(s.account, r.IntN(seed.Owners))}, 0, 0
	})},
	{"activityLog of a run", activityLog(func(s *set, r *rand.Rand) (_ job.Scope, _, _ int64) {
		i := s.any(r)
		return job.Scope{}, seed.Config(s.account, (i*31+i/100*7)%seed.Configs), int64(i)
	})},
	{"sorted by id", sorted("id")},
	{"sorted by config name", sorted("jobConfig.name")},
	{"sorted by status", sorted("status")},
}
