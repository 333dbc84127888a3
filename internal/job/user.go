package job

import "time"

// Account is the tenant.
type Account struct {
	ID          int64
	Name        string // unique, lower case
	Description string
	Destination int64         // default destination, 0: none
	MaxTimeout  time.Duration // upper limit of a job's Timeout, also for jobs without one; 0: none
	Retention   Retention     // for jobs whose config has no limits of its own
	UserDomains []string      // of the users' mail addresses; a label, nothing checks it
	Change      int64         // grows with every write of what people set
	CreatedAt   time.Time
}

// User is somebody who signs in.
type User struct {
	ID           int64
	AccountID    int64
	Name         string // unique over all accounts, without regard to case; never changes
	PasswordHash string // argon2id, PHC string
	Admin        bool
	Active       bool
	CreatedAt    time.Time
}

// Ref is the user as others show it.
func (u User) Ref() UserRef { return UserRef{ID: u.ID, Name: u.Name} }

// Actor is who makes a call.
type Actor struct {
	AccountID int64
	User      UserRef
	Admin     bool
	Family    string // token family of the login; empty for Basic credentials
}

// Scope is what the actor may see in lists: the account, and for a general user only what is their own.
func (a Actor) Scope() Scope {
	if a.Admin {
		return Scope{AccountID: a.AccountID}
	}
	return Scope{AccountID: a.AccountID, OwnerID: a.User.ID}
}

// MayTouch tells whether the actor may use a record of their own account that belongs to owner.
func (a Actor) MayTouch(owner int64) bool { return a.Admin || a.User.ID == owner }

// Scope limits a query. Every query has one.
type Scope struct {
	AccountID int64
	OwnerID   int64 // 0: everything in the account
}

// Destination is a named pool of workers: one Temporal task queue.
type Destination struct {
	ID          int64
	AccountID   int64
	Name        string // 1 to 255 characters, unique in the account without regard to case
	Description string
	TaskQueue   string // made by us from account and id, never changes
	System      bool   // the one the account began with: jobs go there when nothing else is said, and it stays
}

// TokenFamily is all that came from one login: one refresh token at a time, and the access tokens made with it.
type TokenFamily struct {
	ID          string
	UserID      int64
	AccountID   int64
	RefreshHash string // hex SHA-256 of the refresh token that is good now
	CreatedAt   time.Time
	ExpiresAt   time.Time // of the refresh token
	RevokedAt   time.Time // zero: alive
}
