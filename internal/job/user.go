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
	TimeZone    string        // IANA name: what wall clocks mean where nothing else is said; empty: UTC
	UserDomains []string      // of the users' mail addresses; a label, nothing checks it
	Change      int64         // grows with every write of what people set
	CreatedAt   time.Time
}

// User is somebody who signs in.
type User struct {
	ID           int64
	AccountID    int64
	Name         string // unique over all accounts, without regard to case; never changes
	PasswordHash string // argon2id, PHC string; empty: no password matches, the user signs in elsewhere
	Admin        bool
	Active       bool
	Person
	SSO        Subject // as whom an identity provider knows the user
	Change     int64   // grows with every write of what people set
	CreatedBy  UserRef // zero: the first start, a command, or a sign-in
	CreatedAt  time.Time
	ModifiedBy UserRef
	ModifiedAt time.Time // zero: never
}

// Person is what is known of a user as a person. All of it is optional and nothing but a label.
type Person struct {
	Email, FirstName, LastName               string
	Street, City, State, PostalCode, Country string
}

// Subject is a user as an identity provider names them (OpenID Connect Core, 2: iss and sub together are never given to another).
type Subject struct {
	Issuer, ID string
}

// Ref is the user as others show it.
func (u User) Ref() UserRef { return UserRef{ID: u.ID, Name: u.Name} }

// Actor is who makes a call. What they may do is asked by the methods in access.go.
type Actor struct {
	AccountID int64
	User      UserRef
	Admin     bool   // of the account: may do everything in it
	Family    string // token family of the login; empty for Basic credentials
	Grants    Grants // by access policies; an admin needs none
	Limit     Verbs  // what the caller showed is good for these only; 0: for everything the user may
	Job       *OwnJob
	Key       *KeyGrant // of the API key that was shown; nil: none
	Session   string    // of the Informatica door: the beginning of what the session is kept under, which opens nothing
}

// Credential is what a call showed, told by what it is kept under; nothing of it lets anybody in.
type Credential struct {
	Kind string // CredentialLogin and so on
	ID   string
}

// Kinds of credentials.
const (
	CredentialLogin   = "login"   // an access token; the id is that of the login, which stays when tokens are refreshed
	CredentialKey     = "apikey"  // with its id
	CredentialJob     = "job"     // the token of a job, with the job's id
	CredentialSession = "session" // of the Informatica door
	CredentialBasic   = "basic"   // name and password, for this call only
)

// Shown is the credential that the actor came with.
func (a Actor) Shown() Credential {
	switch {
	case a.Job != nil: // before the key: a job that was started with one has its limits
		return Credential{CredentialJob, string(a.Job.ID)}
	case a.Key != nil:
		return Credential{CredentialKey, a.Key.ID}
	case a.Family != "":
		return Credential{CredentialLogin, a.Family}
	case a.Session != "":
		return Credential{CredentialSession, a.Session}
	}
	return Credential{Kind: CredentialBasic}
}

// Scope limits a query. Every query has one.
type Scope struct {
	AccountID int64
	OwnerID   int64 // 0: everything in the account
	// Configs are job configs that the owner sees beside their own, with their jobs.
	Configs []int64
	// Only, when it is not empty, are the only job configs to be seen, with their jobs.
	Only []int64
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

// LoginAttempt is one try to sign in as a user. Tries under names that nobody has are kept nowhere.
type LoginAttempt struct {
	ID        int64
	AccountID int64
	UserID    int64
	Username  string
	Time      time.Time
	Success   bool
	Word      Word // why it was refused
	Method    LoginMethod
	Address   string // of the client
}

// LoginMethod is what somebody showed to sign in.
type LoginMethod string

// The methods.
const (
	LoginPassword LoginMethod = "password"
	LoginBasic    LoginMethod = "basic" // the same, with one call
	LoginSSO      LoginMethod = "sso"   // an identity provider's word
)

// LoginsKept is for how long attempts to sign in are kept. The audit log remembers for longer.
const LoginsKept = 90 * 24 * time.Hour
