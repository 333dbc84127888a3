package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
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

func TestForgedTokensAreInvalid(t *testing.T) {
	good, err := signer(now).Sign(claims(), now)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(m jwt.SigningMethod, c jwt.Claims, k any) string {
		text, err := jwt.NewWithClaims(m, c).SignedString(k)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	plain := jwt.MapClaims{"iss": "waybill", "sub": "7", "account": "3", "family": "fam", "exp": now.Add(time.Hour).Unix()}
	without := func(name string) jwt.MapClaims {
		c := jwt.MapClaims{}
		for k, v := range plain {
			if k != name {
				c[k] = v
			}
		}
		return c
	}
	if _, err := signer(now).Parse(sign(jwt.SigningMethodHS256, plain, key)); err != nil {
		t.Fatalf("the pattern of the forgeries is refused itself: %v", err)
	}
	parts := strings.Split(good, ".")
	for name, text := range map[string]string{
		"empty": "", "not a token": "abc", "two parts": parts[0] + "." + parts[1], "no signature": parts[0] + "." + parts[1] + ".",
		"alg none":     sign(jwt.SigningMethodNone, plain, jwt.UnsafeAllowNoneSignatureType),
		"other alg":    sign(jwt.SigningMethodHS512, plain, key),
		"other key":    sign(jwt.SigningMethodHS256, plain, []byte("another key of the same length..")),
		"no expiry":    sign(jwt.SigningMethodHS256, without("exp"), key),
		"no issuer":    sign(jwt.SigningMethodHS256, without("iss"), key),
		"no family":    sign(jwt.SigningMethodHS256, without("family"), key),
		"no account":   sign(jwt.SigningMethodHS256, without("account"), key),
		"no user":      sign(jwt.SigningMethodHS256, without("sub"), key),
		"user is text": sign(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "waybill", "sub": "x", "account": "3", "family": "f", "exp": now.Add(time.Hour).Unix()}, key),
		"expired and of another key": sign(jwt.SigningMethodHS256,
			jwt.MapClaims{"iss": "waybill", "sub": "7", "account": "3", "family": "f", "exp": now.Add(-time.Hour).Unix()}, []byte("another key of the same length..")),
	} {
		if _, err := signer(now).Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: err = %v, want ErrInvalid", name, err)
		}
	}
}

func TestRefreshTokenNamesItsFamily(t *testing.T) {
	if got := FamilyOf(NewRefresh("fam")); got != "fam" {
		t.Errorf("FamilyOf = %q", got)
	}
	for _, text := range []string{"", ".", ".x", "fam", "fam.", strings.Repeat("f", 65) + ".x", "f." + strings.Repeat("x", 200)} {
		if got := FamilyOf(text); got != "" {
			t.Errorf("FamilyOf(%q) = %q, want none", text, got)
		}
	}
	if a, b := NewRefresh("fam"), NewRefresh("fam"); a == b || Hash(a) == Hash(b) {
		t.Error("refresh tokens repeat")
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

// signedByUs checks the signature with nothing but the standard library.
func signedByUs(text string) bool {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text[:i]))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) == text[i+1:]
}
