package job

import (
	"slices"
	"time"
)

// KeyScope is a kind of thing that an API key may be used for (native.md, 2).
type KeyScope string

// The scopes.
const (
	ScopeRead  KeyScope = "read"  // look
	ScopeRun   KeyScope = "run"   // start, stop and retry jobs
	ScopeWrite KeyScope = "write" // change anything else
)

// KeyScopes are all scopes.
var KeyScopes = []KeyScope{ScopeRun, ScopeRead, ScopeWrite}

// KeyForm is how an API key looks.
type KeyForm string

// The forms.
const (
	KeyJWT    KeyForm = "jwt"    // signed with a key derived from the key ring; its record says whether it is still good
	KeyOpaque KeyForm = "opaque" // random; only a digest of it is stored
)

// APIKey is what is kept of an API key. The key itself is shown once and kept nowhere.
type APIKey struct {
	ID          string // 24 lower-case hex digits
	AccountID   int64
	Maker       UserRef
	Email       string // of the maker; the user name where there is none
	Org         string // name of the account
	Name        string
	Description string
	Form        KeyForm
	Digest      string // KeyOpaque only: hex SHA-256 of the key
	SignedBy    string // KeyJWT only: id of the sealing key that the signing key comes from
	Scopes      []KeyScope
	Configs     []int64 // ids of the only job configs it may be used for; empty: all
	Parent      string  // id of the key that it was made with, and ends with; empty: none
	CreatedAt   time.Time
	ExpiresAt   time.Time
	UsedAt      time.Time // to about a minute; zero: never
}

// ExpiredKeysKept is how long the record of a key is kept after its end, for whoever wonders why a program is let in no more.
const ExpiredKeysKept = 30 * 24 * time.Hour

// Grant is what the key lets an actor do.
func (k APIKey) Grant() *KeyGrant {
	return &KeyGrant{ID: k.ID, Name: k.Name, Email: k.Email, Org: k.Org, Scopes: k.Scopes, Configs: k.Configs, ExpiresAt: k.ExpiresAt}
}

// KeyGrant narrows what an actor may do who shows an API key: never more than its maker may, and only what the key is for.
type KeyGrant struct {
	ID, Name, Email, Org string

	Scopes    []KeyScope
	Configs   []int64 // empty: all
	ExpiresAt time.Time
}

// Allows tells whether the key is for a kind of thing. nil, no key, allows all.
func (g *KeyGrant) Allows(s KeyScope) bool { return g == nil || slices.Contains(g.Scopes, s) }

// Limited tells whether the key is for single job configs.
func (g *KeyGrant) Limited() bool { return g != nil && len(g.Configs) > 0 }

// Lesser tells whether the key is for less than its maker may do: such a key looks after nobody's keys but itself, and not after its maker.
func (g *KeyGrant) Lesser() bool {
	return g.Limited() || g != nil && slices.ContainsFunc(KeyScopes, func(s KeyScope) bool { return !g.Allows(s) })
}

// Reaches tells whether the key may be used for a job config and its jobs.
func (g *KeyGrant) Reaches(config int64) bool {
	return !g.Limited() || slices.Contains(g.Configs, config)
}
