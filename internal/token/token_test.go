package token

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	key = []byte("0123456789abcdef0123456789abcdef")
	now = time.Date(2026, 3, 17, 9, 40, 0, 0, time.UTC)
)

func signer(at time.Time) *Signer { return NewSigner(key, func() time.Time { return at }) }

func claims() Claims {
	return Claims{UserID: 7, AccountID: 3, Role: "ROLE_ADMIN", Family: "fam", ExpiresAt: now.Add(time.Hour)}
}

func TestSignedTokenParsesUntilItExpires(t *testing.T) {
	text, err := signer(now).Sign(claims(), now)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := signer(now).Parse(text); err != nil || got != func() Claims { c := claims(); c.ExpiresAt = got.ExpiresAt; return c }() ||
		!got.ExpiresAt.Equal(claims().ExpiresAt) {
		t.Errorf("Parse = %+v, %v", got, err)
	}
	if _, err := signer(now.Add(time.Hour)).Parse(text); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v, want ErrExpired", err)
	}
}

// seeds is a ring of two keys.
type seeds struct{ all map[string][]byte }

func (s seeds) Newest() (string, []byte) { return "0000000b", s.all["0000000b"] }

func (s seeds) Key(id string) ([]byte, bool) { k, found := s.all[id]; return k, found }

func (s seeds) IDs() []string { return []string{"0000000b", "0000000a"} }

func ring() (seeds, *Signer) {
	k := seeds{map[string][]byte{"0000000a": bytes.Repeat([]byte{1}, 32), "0000000b": bytes.Repeat([]byte{2}, 32)}}
	return k, NewRingSigner(k, k, func() time.Time { return now })
}

func plain() jwt.MapClaims {
	return jwt.MapClaims{"iss": "waybill", "sub": "7", "account": "3", "family": "fam", "exp": now.Add(time.Hour).Unix()}
}

func TestForgedTokensAreInvalid(t *testing.T) {
	k, s := ring()
	good, err := s.Sign(claims(), now)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(m jwt.SigningMethod, c jwt.Claims, k any, header ...any) string {
		tok := jwt.NewWithClaims(m, c)
		tok.Header["kid"] = "0000000b"
		for i := 0; i < len(header); i += 2 {
			if tok.Header[header[i].(string)] = header[i+1]; header[i+1] == nil {
				delete(tok.Header, header[i].(string))
			}
		}
		text, err := tok.SignedString(k)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	without := func(name string) jwt.MapClaims {
		c := plain()
		delete(c, name)
		return c
	}
	with := func(name string, value any) jwt.MapClaims {
		c := plain()
		c[name] = value
		return c
	}
	ed, hs := jwt.SigningMethodEdDSA, jwt.SigningMethodHS256
	private, secret := ed25519.NewKeyFromSeed(k.all["0000000b"]), k.all["0000000b"]
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	public := private.Public().(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"as we sign now": sign(ed, plain(), private), "as we signed before": sign(hs, plain(), secret)} {
		if _, err := s.Parse(text); err != nil {
			t.Fatalf("the pattern of the forgeries is refused itself: %s: %v", name, err)
		}
	}
	parts := strings.Split(good, ".")
	for name, text := range map[string]string{
		"empty": "", "not a token": "abc", "two parts": parts[0] + "." + parts[1], "no signature": parts[0] + "." + parts[1] + ".",
		"a changed claim":           parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2],
		"alg none":                  sign(jwt.SigningMethodNone, plain(), jwt.UnsafeAllowNoneSignatureType),
		"another alg":               sign(jwt.SigningMethodHS512, plain(), secret),
		"another key":               sign(ed, plain(), other),
		"a key of its own":          sign(ed, plain(), other, "jwk", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(other.Public().(ed25519.PublicKey))}),
		"a key to be fetched":       sign(ed, plain(), other, "jku", "https://evil.example/jwks.json", "x5u", "https://evil.example/c.pem"),
		"public key as secret":      sign(hs, plain(), []byte(public)),
		"public key as secret, der": sign(hs, plain(), der),
		"public key as secret, pem": sign(hs, plain(), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"public key as secret, x":   sign(hs, plain(), []byte(base64.RawURLEncoding.EncodeToString(public))),
		"no kid":                    sign(ed, plain(), private, "kid", nil),
		"an empty kid":              sign(ed, plain(), private, "kid", ""),
		"an unknown kid":            sign(ed, plain(), private, "kid", "0000000c"),
		"another's kid":             sign(ed, plain(), private, "kid", "0000000a"),
		"a kid that is a path":      sign(ed, plain(), private, "kid", "../../../dev/null"),
		"a kid that is a number":    sign(ed, plain(), private, "kid", 11),
		"a kid that is a list":      sign(ed, plain(), private, "kid", []string{"0000000b"}),
		"a kid that is SQL":         sign(hs, plain(), secret, "kid", "' OR '1'='1"),
		"a critical header":         sign(ed, plain(), private, "crit", []string{"exp"}),
		"no expiry":                 sign(ed, without("exp"), private),
		"no issuer":                 sign(ed, without("iss"), private),
		"another issuer":            sign(ed, with("iss", "evil"), private),
		"no family":                 sign(ed, without("family"), private),
		"no account":                sign(ed, without("account"), private),
		"no user":                   sign(ed, without("sub"), private),
		"user is text":              sign(ed, with("sub", "x"), private),
		"not yet good":              sign(ed, with("nbf", now.Add(time.Hour).Unix()), private),
		"expired, of another key":   sign(ed, with("exp", now.Add(-time.Hour).Unix()), other),
	} {
		if _, err := s.Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: err = %v, want ErrInvalid", name, err)
		}
	}
	if _, err := s.Parse(sign(hs, with("exp", now.Add(-time.Hour).Unix()), secret)); !errors.Is(err, ErrExpired) {
		t.Errorf("an old one that has expired: %v", err)
	}
}

// TestOthersCanCheckTokensWithThePublishedKeys uses nothing but the standard library and what is published.
func TestOthersCanCheckTokensWithThePublishedKeys(t *testing.T) {
	k, s := ring()
	list := s.Published()
	if len(list) != 2 || list[0].ID != "0000000b" || list[1].ID != "0000000a" {
		t.Fatalf("%+v", list)
	}
	text, err := s.Sign(claims(), now)
	if err != nil {
		t.Fatal(err)
	}
	i := strings.LastIndexByte(text, '.')
	signature, err := base64.RawURLEncoding.DecodeString(text[i+1:])
	if err != nil || !ed25519.Verify(list[0].Key, []byte(text[:i]), signature) || ed25519.Verify(list[1].Key, []byte(text[:i]), signature) {
		t.Errorf("%v", err)
	}
	delete(k.all, "0000000b") // dropped: its tokens end, and it is published no more
	if _, err := s.Parse(text); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token of a key that is gone: %v", err)
	}
	if list := s.Published(); len(list) != 1 {
		t.Errorf("%+v", list)
	}
}

// FuzzParse holds that no text but one signed with the key gives claims, and that nothing panics.
func FuzzParse(f *testing.F) {
	good, err := signer(now).Sign(claims(), now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ3YXliaWxsIn0.")
	f.Add("a.b.c")
	f.Add("....")
	s := signer(now)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s.Parse(text)
		if err == nil && !signedByUs(text) {
			t.Fatalf("%q was taken as %+v", text, c)
		}
		if len(FamilyOf(text)) > len(text) {
			t.Fatal("a family longer than its token")
		}
	})
}

// signedByUs checks the signature with nothing but the standard library: as tokens are signed now, or as they were before.
func signedByUs(text string) bool {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text[:i]))
	signature, err := base64.RawURLEncoding.DecodeString(text[i+1:])
	return err == nil && (hmac.Equal(mac.Sum(nil), signature) || ed25519.Verify(signer(now).Published()[0].Key, []byte(text[:i]), signature))
}
