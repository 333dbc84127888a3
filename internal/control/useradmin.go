package control

import (
	"context"
	"time"

	"waybill/internal/job"
)

// UserStore is what the operator's command needs to look after users.
type UserStore interface {
	AccountByName(ctx context.Context, name string) (job.Account, error)
	UsersOf(ctx context.Context, account int64) ([]job.User, error)
	// CreateUser makes a user of an account. A taken name is Conflict, WordDuplicateName.
	CreateUser(ctx context.Context, u job.User) (job.User, error)
	// SetPassword replaces the hash and ends all logins of the user, of which it tells the number.
	SetPassword(ctx context.Context, account, id int64, hash string, at time.Time) (ended int64, err error)
	// SetUserActive lets a user sign in, or not; then it ends all logins. The last active admin stays: Conflict, WordLastAdmin.
	SetUserActive(ctx context.Context, account, id int64, active bool, at time.Time) (ended int64, err error)
}

// UserAdmin looks after users for the operator. It asks for nobody's rights: whoever has the database has them all.
type UserAdmin struct {
	Store  UserStore
	Users  Users
	Hasher Hashing
	Now    Clock
}

// List gives the users of an account.
func (s *UserAdmin) List(ctx context.Context, account string) (job.Account, []job.User, error) {
	a, err := s.Store.AccountByName(ctx, account)
	if err != nil {
		return a, nil, err
	}
	list, err := s.Store.UsersOf(ctx, a.ID)
	return a, list, err
}

// Create makes a user of an account.
func (s *UserAdmin) Create(ctx context.Context, account, name, password string, admin bool) (job.User, error) {
	if !plainName(name) {
		return job.User{}, invalidField("a user name has 1 to 64 letters, digits, '-', '_', '.' or '@'")
	}
	a, err := s.Store.AccountByName(ctx, account)
	if err != nil {
		return job.User{}, err
	}
	hash, err := hashNew(ctx, s.Hasher, password, name)
	if err != nil {
		return job.User{}, err
	}
	trail := TrailOf(ctx)
	trail.Of(a.ID)
	trail.Changed([]job.AuditChange{{Field: "name", After: name}, {Field: "role", After: roleOf(admin)}, {Field: "password", After: auditSet}})
	return s.Store.CreateUser(ctx, job.User{
		AccountID: a.ID, Name: name, PasswordHash: hash, Admin: admin, Active: true, CreatedAt: s.Now().UTC().Truncate(time.Microsecond),
	})
}

func roleOf(admin bool) string {
	if admin {
		return roleAdmin
	}
	return roleUser
}

// ResetPassword gives a user another password and ends all of the user's logins.
func (s *UserAdmin) ResetPassword(ctx context.Context, name, password string) (u job.User, ended int64, err error) {
	if u, err = s.find(ctx, name); err != nil {
		return u, 0, err
	}
	hash, err := hashNew(ctx, s.Hasher, password, name)
	if err != nil {
		return u, 0, err
	}
	TrailOf(ctx).Changed([]job.AuditChange{{Field: "password", Before: auditSet, After: auditChanged}})
	ended, err = s.Store.SetPassword(ctx, u.AccountID, u.ID, hash, s.Now().UTC().Truncate(time.Microsecond))
	return u, ended, err
}

// SetActive lets a user sign in again, or ends all of the user's logins and lets there be no more.
func (s *UserAdmin) SetActive(ctx context.Context, name string, active bool) (u job.User, ended int64, err error) {
	if u, err = s.find(ctx, name); err != nil {
		return u, 0, err
	}
	var d differences
	d.add("active", yesNo(u.Active), yesNo(active))
	TrailOf(ctx).Changed(d)
	ended, err = s.Store.SetUserActive(ctx, u.AccountID, u.ID, active, s.Now().UTC().Truncate(time.Microsecond))
	return u, ended, err
}

func (s *UserAdmin) find(ctx context.Context, name string) (job.User, error) {
	u, err := s.Users.UserByName(ctx, name)
	if err == nil {
		TrailOf(ctx).Of(u.AccountID)
		TrailOf(ctx).About("user", decimal(u.ID))
	}
	return u, err
}
