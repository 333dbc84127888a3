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

// Signer makes and checks access tokens with one key.
type Signer struct {
	key    []byte
	parser *jwt.Parser
}

const issuer = "waybill"

// NewSigner takes a key of at least 32 bytes and the clock that expiry is measured by.
func NewSigner(key []byte, now func() time.Time) *Signer {
	return &Signer{key: key, parser: jwt.NewParser(
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
	return jwt.NewWithClaims(jwt.SigningMethodHS256, wireClaims{
		Account: strconv.FormatInt(c.AccountID, 10), Role: c.Role, Family: c.Family, Job: c.Job, Fence: fence,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: strconv.FormatInt(c.UserID, 10), ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
	}).SignedString(s.key)
}

// Parse checks signature, algorithm, issuer and expiry. It answers ErrExpired only for a token this Signer made.
func (s *Signer) Parse(text string) (Claims, error) {
	var w wireClaims
	_, err := s.parser.ParseWithClaims(text, &w, func(*jwt.Token) (any, error) { return s.key, nil })
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
