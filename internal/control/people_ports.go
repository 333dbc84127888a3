package control

import (
	"context"
	"time"

	"waybill/internal/job"
)

// UserDirectory is how users are looked after by people.
type UserDirectory interface {
	// ListUsers lists the users of the scope's account, or the one that is the scope's owner. Known properties: id username email
	// firstName lastName active admin created lastModified.
	ListUsers(ctx context.Context, q job.Query) (job.List[job.User], error)
	// UserBySubject finds whom an identity provider means.
	UserBySubject(ctx context.Context, account int64, by job.Subject) (job.User, error)
	// UserByEmail finds the one user of an account who has a mail address, without regard to the case of its letters. NotFound when several have it.
	UserByEmail(ctx context.Context, account int64, email string) (job.User, error)
	// UpdateUser stores all of u but what never changes (id, account, name, creation) and the password, if the stored row's Change
	// is still u's; otherwise Conflict, WordStale. The last active admin stays one: Conflict, WordLastAdmin. It ends all logins of
	// a user who is not active. A user who had no subject and gets one loses the password and all logins: from then on the provider says who
	// signs in.
	UpdateUser(ctx context.Context, u job.User) (job.User, error)
	// SetUsersActive lets users sign in, or not, all or none; then it ends all their logins and API keys. The last active admin stays: Conflict,
	// WordLastAdmin.
	SetUsersActive(ctx context.Context, account int64, ids []int64, active bool, by job.UserRef, at time.Time) (ended int64, err error)
	// ChangePassword replaces the hash and ends all logins of the user but the token family keep; done by anybody else it ends the user's API
	// keys, too. Conflict, WordStale, if was is not "" and not the hash that the user has.
	ChangePassword(ctx context.Context, account, id int64, was, hash, keep string, by job.UserRef, at time.Time) (ended int64, err error)
}
