// Package token makes and checks access tokens (JWT, HS256) and refresh tokens. It imports the JWT library and the
// standard library only.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
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

// Signer makes and checks access tokens.
type Signer struct {
	keys   KeySource
	parser *jwt.Parser
}

// oneKey is a source with a key that has no name.
type oneKey []byte

func (k oneKey) Newest() (string, []byte) { return "", k }

func (k oneKey) Key(id string) ([]byte, bool) { return k, id == "" }

const issuer = "waybill"

// NewSigner takes a key of at least 32 bytes and the clock that expiry is measured by.
func NewSigner(key []byte, now func() time.Time) *Signer { return NewRingSigner(oneKey(key), now) }

// NewRingSigner takes keys that may be replaced while tokens are about.
func NewRingSigner(keys KeySource, now func() time.Time) *Signer {
	return &Signer{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)}
}

// Sign makes an access token.
func (s *Signer) Sign(c Claims, issued time.Time) (string, error) {
	fence := ""
	if c.Job != "" {
		fence = strconv.FormatInt(c.Fence, 10)
	}
	id, key := s.keys.Newest()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, wireClaims{
		Account: strconv.FormatInt(c.AccountID, 10), Role: c.Role, Family: c.Family, Job: c.Job, Fence: fence,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: strconv.FormatInt(c.UserID, 10), ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
	})
	if id != "" {
		t.Header["kid"] = id
	}
	return t.SignedString(key)
}

// Parse checks signature, algorithm, issuer and expiry. It answers ErrExpired only for a token this Signer made.
func (s *Signer) Parse(text string) (Claims, error) {
	var w wireClaims
	_, err := s.parser.ParseWithClaims(text, &w, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		key, found := s.keys.Key(id)
		if !found {
			return nil, jwt.ErrTokenUnverifiable
		}
		return key, nil
	})
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

// NewRefresh makes a refresh token for a family: the family's id, a dot, and about 130 random bits.
func NewRefresh(family string) string { return family + "." + rand.Text() }

// FamilyOf reads the family out of a refresh token; "" when it has not the form of one.
func FamilyOf(refresh string) string {
	for i := range len(refresh) {
		if refresh[i] == '.' {
			if i == 0 || i > 64 || len(refresh) > 128 || i == len(refresh)-1 {
				return ""
			}
			return refresh[:i]
		}
	}
	return ""
}

// Hash is what the store keeps of a refresh token. The token is random, so a plain digest is enough.
func Hash(refresh string) string {
	sum := sha256.Sum256([]byte(refresh))
	return hex.EncodeToString(sum[:])
}
