package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// KeyClaims is what an API key in JWT form says (diem.md, 2).
type KeyClaims struct {
	ID        string // of the key's record
	UserID    int64
	Org       string // name of the account
	Email     string
	Name      string // of the user
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// keyClaims has the names that the vendor's clients may look at.
type keyClaims struct {
	Email string `json:"email"`
	Name  string `json:"name"`
	Org   string `json:"org"`
	UID   string `json:"uid"`
	KeyID string `json:"id"`
	jwt.RegisteredClaims
}

// KeySigner makes and checks API keys in JWT form. Its keys are of another use than those of access tokens, so neither passes for
// the other.
type KeySigner struct {
	keys   KeySource
	parser *jwt.Parser
}

// NewKeySigner takes keys that may be replaced while API keys are about, and the clock that expiry is measured by.
func NewKeySigner(keys KeySource, now func() time.Time) *KeySigner {
	return &KeySigner{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)}
}

// Sign makes an API key and tells which key signed it.
func (s *KeySigner) Sign(c KeyClaims) (text, signedBy string, err error) {
	id, key := s.keys.Newest()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, keyClaims{
		Email: c.Email, Name: c.Name, Org: c.Org, UID: strconv.FormatInt(c.UserID, 10), KeyID: c.ID,
		RegisteredClaims: jwt.RegisteredClaims{IssuedAt: jwt.NewNumericDate(c.IssuedAt), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt)},
	})
	if id != "" {
		t.Header["kid"] = id
	}
	text, err = t.SignedString(key)
	return text, id, err
}

// Parse checks algorithm, signature and expiry. It answers ErrExpired only for a key that was made here.
func (s *KeySigner) Parse(text string) (KeyClaims, error) {
	var w keyClaims
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
		return KeyClaims{}, ErrInvalid
	case errors.Is(err, jwt.ErrTokenExpired):
		return KeyClaims{}, ErrExpired
	case err != nil:
		return KeyClaims{}, ErrInvalid
	}
	user, err := strconv.ParseInt(w.UID, 10, 64)
	if err != nil {
		return KeyClaims{}, ErrInvalid
	}
	c := KeyClaims{ID: w.KeyID, UserID: user, Org: w.Org, Email: w.Email, Name: w.Name, ExpiresAt: w.ExpiresAt.Time}
	if w.IssuedAt != nil {
		c.IssuedAt = w.IssuedAt.Time
	}
	return c, nil
}

// maxKey bounds the text of an API key that is looked at, in bytes.
const maxKey = 8 << 10

// PeekKey reads the id out of a text that has the form of an API key in JWT form, whoever made it. Nothing of it is believed: it
// only tells what the text claims to be.
func PeekKey(text string) (id string, ok bool) {
	if len(text) > maxKey {
		return "", false
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return "", false
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		ID string `json:"id"`
	}
	if !peek(parts[0], &header) || !peek(parts[1], &claims) || header.Algorithm == "" {
		return "", false
	}
	return claims.ID, claims.ID != ""
}

func peek(part string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) && json.Unmarshal(text, into) == nil
}
