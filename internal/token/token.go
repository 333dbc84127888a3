// Package token makes and checks access tokens (JWT, EdDSA with Ed25519) and refresh tokens. It imports the JWT library and the
// standard library only.
package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrExpired and ErrInvalid are the two things that can be wrong with an access token.
var (
	ErrExpired = errors.New("the access token has expired")
	ErrInvalid = errors.New("the access token is not valid")
)

// Claims is what an access token says (native.md, 2).
type Claims struct {
	UserID    int64
	AccountID int64
	Role      string // ROLE_ADMIN or ROLE_USER; for readers of the token, rights are looked up afresh
	Family    string // of the login; empty: it is a job's
	ExpiresAt time.Time
	// Job and Fence name the attempt of a job that the token was made for.
	Job   string
	Fence int64
}

type wireClaims struct {
	Account string `json:"account"`
	Role    string `json:"role"`
	Family  string `json:"family,omitempty"`
	Job     string `json:"job,omitempty"`
	Fence   string `json:"attempt,omitempty"` // decimal: it has more digits than a JSON number keeps
	jwt.RegisteredClaims
}

// KeySource is the keys that tokens are signed with: a new token with the newest, and each is checked with the one that its
// header names; one that names none is of the oldest.
type KeySource interface {
	Newest() (id string, key []byte)
	Key(id string) (key []byte, found bool)
}

// Seeds is a KeySource of seeds for Ed25519 keys, which tells their ids so that the public ones can be published.
type Seeds interface {
	KeySource
	// IDs lists the keys, the newest first.
	IDs() []string
}

// Signer makes and checks access tokens.
type Signer struct {
	seeds  Seeds
	old    KeySource // of HS256, with which tokens were signed before
	parser *jwt.Parser
	made   sync.Map // seed as a string -> ed25519.PrivateKey
}

// oneKey is a source with a key that has no name.
type oneKey []byte

func (k oneKey) Newest() (string, []byte) { return "", k }

func (k oneKey) Key(id string) ([]byte, bool) { return k, id == "" }

func (k oneKey) IDs() []string { return []string{""} }

const issuer = "waybill"

// NewSigner takes a key of at least 32 bytes and the clock that expiry is measured by.
func NewSigner(key []byte, now func() time.Time) *Signer {
	seed := sha256.Sum256(append([]byte("ed25519"), key...))
	return NewRingSigner(oneKey(seed[:]), oneKey(key), now)
}

// NewRingSigner takes keys that may be replaced while tokens are about. The old ones sign nothing any more: they check the tokens that
// are still about.
func NewRingSigner(seeds Seeds, old KeySource, now func() time.Time) *Signer {
	return &Signer{seeds: seeds, old: old, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg(), jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)}
}

// private is the key of a seed: making one costs as much as signing.
func (s *Signer) private(seed []byte) ed25519.PrivateKey {
	if made, found := s.made.Load(string(seed)); found {
		return made.(ed25519.PrivateKey)
	}
	key := ed25519.NewKeyFromSeed(seed)
	s.made.Store(string(seed), key)
	return key
}

// PublicKey is what others can check tokens with.
type PublicKey struct {
	ID  string
	Key ed25519.PublicKey
}

// Published is the public keys of all tokens that are good, but those signed by older versions with a secret, the newest first.
func (s *Signer) Published() (list []PublicKey) {
	for _, id := range s.seeds.IDs() {
		if seed, found := s.seeds.Key(id); found {
			list = append(list, PublicKey{id, s.private(seed).Public().(ed25519.PublicKey)})
		}
	}
	return list
}

// Sign makes an access token.
func (s *Signer) Sign(c Claims, issued time.Time) (string, error) {
	fence := ""
	if c.Job != "" {
		fence = strconv.FormatInt(c.Fence, 10)
	}
	id, seed := s.seeds.Newest()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, wireClaims{
		Account: strconv.FormatInt(c.AccountID, 10), Role: c.Role, Family: c.Family, Job: c.Job, Fence: fence,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: strconv.FormatInt(c.UserID, 10), ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
	})
	if id != "" {
		t.Header["kid"] = id
	}
	return t.SignedString(s.private(seed))
}

// keyFor finds the key that a token must be signed with. Which kind of key goes with which algorithm is ours to say, not the token's: a
// public key never serves as a secret (RFC 8725, 3.1).
func (s *Signer) keyFor(t *jwt.Token) (any, error) {
	id, named := "", false
	if kid, there := t.Header["kid"]; there {
		if id, named = kid.(string); !named || id == "" {
			return nil, jwt.ErrTokenUnverifiable
		}
	}
	if _, there := t.Header["crit"]; there { // we know none of what it may ask for (RFC 7515, 4.1.11)
		return nil, jwt.ErrTokenUnverifiable
	}
	switch t.Method {
	case jwt.SigningMethodEdDSA:
		if newest, _ := s.seeds.Newest(); !named && newest != "" {
			return nil, jwt.ErrTokenUnverifiable // ours all name their key
		}
		if seed, found := s.seeds.Key(id); found {
			return s.private(seed).Public(), nil
		}
	case jwt.SigningMethodHS256:
		if key, found := s.old.Key(id); found {
			return key, nil
		}
	}
	return nil, jwt.ErrTokenUnverifiable
}

// Parse checks signature, algorithm, issuer and expiry. It answers ErrExpired only for a token this Signer made.
func (s *Signer) Parse(text string) (Claims, error) {
	var w wireClaims
	_, err := s.parser.ParseWithClaims(text, &w, s.keyFor)
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid) || errors.Is(err, jwt.ErrTokenMalformed):
		return Claims{}, ErrInvalid
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, ErrExpired
	case err != nil:
		return Claims{}, ErrInvalid
	}
	user, err1 := strconv.ParseInt(w.Subject, 10, 64)
	account, err2 := strconv.ParseInt(w.Account, 10, 64)
	var fence int64
	var err3 error
	if w.Job != "" {
		fence, err3 = strconv.ParseInt(w.Fence, 10, 64)
	}
	if errors.Join(err1, err2, err3) != nil || (w.Family == "") == (w.Job == "") { // it is of a login or of a job
		return Claims{}, ErrInvalid
	}
	return Claims{
		UserID: user, AccountID: account, Role: w.Role, Family: w.Family, ExpiresAt: w.ExpiresAt.Time, Job: w.Job, Fence: fence,
	}, nil
}
