package control

import (
	"context"

	"waybill/internal/job"
)

// LoginHistory keeps the last attempts to sign in as each user.
type LoginHistory interface {
	// AddLogin stores an attempt. Of a user's good ones, and of the bad ones, only the last keep stay.
	AddLogin(ctx context.Context, a job.LoginAttempt, keep int) error
	// Logins lists the attempts of a user of the account of q.Scope, of all of them for user 0. Known properties: timestamp userId
	// username success exception method address.
	Logins(ctx context.Context, q job.Query, user int64) (job.List[job.LoginAttempt], error)
}
