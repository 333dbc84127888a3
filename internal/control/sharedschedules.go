package control

import (
	"context"
	"strconv"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// SharedScheduleStore keeps the schedules of accounts.
type SharedScheduleStore interface {
	// SharedSchedules lists those of an account by name; of one user or, with owner 0, all; of one name in any letter case or, with "", all.
	SharedSchedules(ctx context.Context, account, owner int64, name string) ([]job.SharedSchedule, error)
	SharedSchedule(ctx context.Context, account, id int64) (job.SharedSchedule, error)
	// CreateSharedSchedule gives it its id. A taken name is Conflict, WordDuplicateName; whoever has made so many is Invalid.
	CreateSharedSchedule(ctx context.Context, s job.SharedSchedule, limit int) (job.SharedSchedule, error)
	// UpdateSharedSchedule stores it if the stored row's Change is still its own, otherwise Conflict, WordStale, and in the same transaction
	// lets all schedules of configs that follow it follow.
	UpdateSharedSchedule(ctx context.Context, s job.SharedSchedule) (job.SharedSchedule, error)
	// DeleteSharedSchedule deletes one that no config is on: else Conflict, WordScheduleInUse.
	DeleteSharedSchedule(ctx context.Context, account, id int64) error
}

// SharedScheduleUse puts configs on schedules of their account.
type SharedScheduleUse interface {
	// FollowSharedSchedule makes the config's schedule the shared one's, or gives it one. A schedule that is the config's own stays:
	// Conflict, WordScheduleExists.
	FollowSharedSchedule(ctx context.Context, account, config, shared int64, at time.Time) (job.Schedule, error)
	// LeaveSharedSchedule takes the schedule away that follows a shared one; none: nothing.
	LeaveSharedSchedule(ctx context.Context, account, config int64) (left bool, err error)
	// SharedScheduleFollowers gives the configs on a shared schedule, each with its owner.
	SharedScheduleFollowers(ctx context.Context, account, shared int64) (owners map[int64]int64, err error)
}

// SharedSchedules is what can be done with the schedules of an account (informatica.md, 6). A general user has their own.
type SharedSchedules struct {
	Store     SharedScheduleStore
	Use       SharedScheduleUse
	Schedules *Schedules
	Accounts  AccountStore
	Now       Clock
}

// Get finds one that the actor may use.
func (s *SharedSchedules) Get(ctx context.Context, a job.Actor, ref string) (job.SharedSchedule, error) {
	none := job.Errorf(job.NotFound, job.WordNotFound, "Schedule %s not found", short(ref))
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil || decimal(id) != ref {
		return job.SharedSchedule{}, none
	}
	sch, err := s.Store.SharedSchedule(ctx, a.AccountID, id)
	if job.CodeOf(err) == job.NotFound {
		return sch, none
	}
	if err == nil && !a.Admin && sch.CreatedBy.ID != a.User.ID {
		return job.SharedSchedule{}, job.Errorf(job.Forbidden, job.WordAccessDenied, "Schedule %s belongs to another user", short(ref))
	}
	return sch, err
}

// List gives those the actor may use, by name.
func (s *SharedSchedules) List(ctx context.Context, a job.Actor) ([]job.SharedSchedule, error) {
	return s.Store.SharedSchedules(ctx, a.AccountID, sharedOwner(a), "")
}

// sharedOwner is whose schedules the actor may use; 0: all of the account.
func sharedOwner(a job.Actor) int64 {
	if a.Admin {
		return 0
	}
	return a.User.ID
}

// Named finds one of those by its name, without regard to case.
func (s *SharedSchedules) Named(ctx context.Context, a job.Actor, name string) (job.SharedSchedule, error) {
	if name == "" {
		return job.SharedSchedule{}, job.Errorf(job.NotFound, job.WordNotFound, "Schedule '' not found")
	}
	list, err := s.Store.SharedSchedules(ctx, a.AccountID, sharedOwner(a), name)
	if len(list) > 0 {
		return list[0], err
	}
	if err == nil {
		err = job.Errorf(job.NotFound, job.WordNotFound, "Schedule '%s' not found", short(name))
	}
	return job.SharedSchedule{}, err
}

// maxSharedSchedules is how many one user makes: they are read together, and nobody makes many of them.
const maxSharedSchedules = 500

// SharedInput is a shared schedule as a caller gives it. Without a zone it gets the account's.
type SharedInput struct {
	Name string
	Plan job.SharedPlan
	// StartUTC, when set, goes before the plan's Start.
	StartUTC time.Time
}

func (s *SharedSchedules) fill(ctx context.Context, sch *job.SharedSchedule, in SharedInput) error {
	name := strings.TrimSpace(in.Name)
	switch {
	case name == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "name is required")
	case !printable(name, maxName):
		return invalidField("name has at most %d characters and no control characters", maxName)
	case len([]rune(in.Plan.Description)) > maxDescription || strings.ContainsRune(in.Plan.Description, 0):
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	}
	if in.Plan.Zone == "" {
		account, err := s.Accounts.Account(ctx, sch.AccountID)
		if err != nil {
			return err
		}
		if in.Plan.Zone = account.TimeZone; in.Plan.Zone == "" {
			in.Plan.Zone = "UTC"
		}
	}
	if !in.StartUTC.IsZero() {
		zone, err := schedule.Zone(in.Plan.Zone)
		if err != nil {
			return err
		}
		in.Plan.Start = shownIn(in.StartUTC, zone)
		in.Plan.Later = !Instant(in.Plan.Start, zone).Equal(in.StartUTC)
	}
	rule, err := sharedRule(name, &in.Plan)
	sch.Name, sch.Plan, sch.Rule = name, in.Plan, rule
	return err
}

// Create stores a new one.
func (s *SharedSchedules) Create(ctx context.Context, a job.Actor, in SharedInput) (job.SharedSchedule, error) {
	if err := allowed(a, job.Create); err != nil {
		return job.SharedSchedule{}, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	sch := job.SharedSchedule{
		AccountID: a.AccountID, CreatedAt: now, CreatedBy: a.User, ModifiedAt: now, ModifiedBy: a.User.Name, Change: 1,
	}
	if err := s.fill(ctx, &sch, in); err != nil {
		return job.SharedSchedule{}, err
	}
	TrailOf(ctx).Changed(sharedChanges(job.SharedSchedule{}, sch))
	return s.Store.CreateSharedSchedule(ctx, sch, maxSharedSchedules)
}

// Change reads one, lets edit make the new input of it, and stores that; the configs on it follow. A write by somebody else in between
// makes it begin again.
func (s *SharedSchedules) Change(ctx context.Context, a job.Actor, ref string, edit func(job.SharedSchedule) (SharedInput, error)) (job.SharedSchedule, error) {
	if err := allowed(a, job.Edit); err != nil {
		return job.SharedSchedule{}, err
	}
	const tries = 5
	for try := 1; ; try++ {
		sch, err := s.Get(ctx, a, ref)
		if err != nil {
			return sch, err
		}
		if err := s.mayMove(ctx, a, sch); err != nil {
			return job.SharedSchedule{}, err
		}
		in, err := edit(sch)
		if err != nil {
			return sch, err
		}
		before := sch
		if err := s.fill(ctx, &sch, in); err != nil {
			return sch, err
		}
		sch.ModifiedAt, sch.ModifiedBy = s.Now().UTC().Truncate(time.Microsecond), a.User.Name
		TrailOf(ctx).About("sharedschedule", decimal(sch.ID))
		TrailOf(ctx).Changed(sharedChanges(before, sch))
		stored, err := s.Store.UpdateSharedSchedule(ctx, sch)
		if job.WordOf(err) != job.WordStale || try == tries {
			return stored, err
		}
	}
}

// mayMove refuses to change a schedule that has configs start which the actor may not give a schedule: rights are taken away, and configs
// handed over, after they were put on it.
func (s *SharedSchedules) mayMove(ctx context.Context, a job.Actor, sch job.SharedSchedule) error {
	if a.Administers(job.Edit) {
		return nil
	}
	owners, err := s.Use.SharedScheduleFollowers(ctx, a.AccountID, sch.ID)
	if err != nil {
		return err
	}
	for config, owner := range owners {
		for _, v := range []job.Verb{job.Edit, job.Execute} {
			if !a.May(v, job.KindJobConfig, config, owner) {
				return denied(a, v, "Schedule %d is that of job config %d, which belongs to another user", sch.ID, config)
			}
		}
	}
	return nil
}

func sharedChanges(before, after job.SharedSchedule) []job.AuditChange {
	var d differences
	d.add("name", before.Name, after.Name)
	return append(d, scheduleChanges(job.Schedule{Rule: before.Rule}, job.Schedule{Rule: after.Rule})...)
}

// Delete deletes one that no config is on.
func (s *SharedSchedules) Delete(ctx context.Context, a job.Actor, ref string) error {
	if err := allowed(a, job.Delete); err != nil {
		return err
	}
	sch, err := s.Get(ctx, a, ref)
	if err != nil {
		return err
	}
	return s.Store.DeleteSharedSchedule(ctx, a.AccountID, sch.ID)
}

// Put puts a config on a shared schedule; "" takes it off the one it is on.
func (s *SharedSchedules) Put(ctx context.Context, a job.Actor, config, ref string) (job.Config, error) {
	c, err := s.Schedules.Configs.For(ctx, a, config, job.Edit)
	if err != nil {
		return c, err
	}
	TrailOf(ctx).About("schedule", decimal(c.ID))
	if ref == "" {
		left, err := s.Use.LeaveSharedSchedule(ctx, a.AccountID, c.ID)
		if left {
			s.Schedules.Forget(ctx, []int64{c.ID})
		}
		return c, err
	}
	if err := s.Schedules.mayFire(ctx, a, config); err != nil {
		return c, err
	}
	shared, err := s.Get(ctx, a, ref)
	if err != nil {
		return c, err
	}
	sch, err := s.Use.FollowSharedSchedule(ctx, a.AccountID, c.ID, shared.ID, s.Now().UTC().Truncate(time.Microsecond))
	if err == nil {
		_, err = s.Schedules.told(ctx, c, sch)
	}
	return c, err
}
