package token

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestAPIKeysSayWhatTheyWereMadeWith(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	s := NewKeySigner(oneKey(strings.Repeat("k", 32)), clock)
	want := KeyClaims{ID: "69b9209b00000000000000d1", UserID: 7, Org: "acme", Email: "dan@example.com", Name: "dan", IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	text, _, err := s.Sign(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Parse(text)
	if got.IssuedAt, got.ExpiresAt = got.IssuedAt.UTC(), got.ExpiresAt.UTC(); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if id, ok := PeekKey(text); !ok || id != want.ID {
		t.Errorf("peeked %q, %v", id, ok)
	}
	now = now.Add(2 * time.Hour)
	if _, err := s.Parse(text); !errors.Is(err, ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	if _, err := NewKeySigner(oneKey(strings.Repeat("x", 32)), clock).Parse(text); !errors.Is(err, ErrInvalid) {
		t.Errorf("of another key and expired: %v", err)
	}
}

func TestForgedAPIKeysAreInvalid(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC)
	key := oneKey(strings.Repeat("k", 32))
	s := NewKeySigner(key, func() time.Time { return now })
	claims := keyClaims{Org: "acme", UID: "7", KeyID: "69b9209b00000000000000d1", RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour))}}
	sign := func(m jwt.SigningMethod, key any, c keyClaims) string {
		text, err := jwt.NewWithClaims(m, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	endless := claims
	endless.ExpiresAt = nil
	stray := claims
	stray.UID = "x"
	for name, text := range map[string]string{
		"another secret": sign(jwt.SigningMethodHS256, []byte("another"), claims), "none": sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims),
		"another algorithm": sign(jwt.SigningMethodHS512, []byte(key), claims), "no expiry": sign(jwt.SigningMethodHS256, []byte(key), endless),
		"no user": sign(jwt.SigningMethodHS256, []byte(key), stray), "an access token": mustSign(t, NewSigner(key, func() time.Time { return now }), now),
	} {
		if _, err := s.Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Parse(sign(jwt.SigningMethodHS256, []byte(key), claims)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func mustSign(t *testing.T, s *Signer, now time.Time) string {
	t.Helper()
	text, err := s.Sign(Claims{UserID: 7, AccountID: 1, Family: "f", ExpiresAt: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhatIsNoAPIKey(t *testing.T) {
	t.Parallel()
	part := base64.RawURLEncoding.EncodeToString
	head := part([]byte(`{"alg":"HS256"}`))
	for _, text := range []string{
		"", "abc", "..", "a.b.c", head + "." + part([]byte(`{"id":7}`)) + ".x", head + "." + part([]byte(`{"name":"x"}`)) + ".x", head + "." + part([]byte(`[]`)) + ".x",
		part([]byte(`{}`)) + "." + part([]byte(`{"id":"x"}`)) + ".x", head + "." + part([]byte(`{"id":"x"}`)), head + "." + part([]byte(`{"id":"`+strings.Repeat("x", maxKey)+`"}`)) + ".x",
		head + "." + part([]byte(`{"id":"x"}`)) + ".x.x",
	} {
		if id, ok := PeekKey(text); ok {
			t.Errorf("%.60q is the key %.20q", text, id)
		}
	}
	if id, ok := PeekKey(head + "." + part([]byte(` {"id":"x"}`)) + "."); !ok || id != "x" {
		t.Errorf("%q, %v", id, ok)
	}
}

func FuzzPeekKey(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.eyJpZCI6IngifQ.")
	f.Add("a.b.c")
	s := NewKeySigner(oneKey(strings.Repeat("k", 32)), time.Now)
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := PeekKey(text)
		if ok != (id != "") {
			t.Fatalf("%q, %v", id, ok)
		}
		if c, err := s.Parse(text); err == nil {
			t.Fatalf("a text that nobody signed is the key %+v", c)
		}
	})
}
