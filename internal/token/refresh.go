package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Refresher makes refresh tokens and knows those that it made. Whether one is good is told by its Hash alone: this tells one that was used
// before from one that nobody ever gave out.
type Refresher struct{ keys KeySource }

// NewRefresher takes keys of a use of its own, which may be replaced while tokens are about.
func NewRefresher(keys KeySource) Refresher { return Refresher{keys} }

// New makes a refresh token for a family: the family's id, about 130 random bits, the id of a key, and what that key makes of the others, with
// dots between them. Versions before read no further than the family, so they take it, too.
func (r Refresher) New(family string) string {
	id, key := r.keys.Newest()
	text := family + "." + rand.Text() + "." + id
	return text + "." + mark(text, key)
}

// Made tells whether a text is a refresh token that was given out. It is false, too, for one of a version before, which looks like those
// that people make up, and for one whose key was dropped.
func (r Refresher) Made(refresh string) bool {
	parts := strings.Split(refresh, ".")
	if FamilyOf(refresh) == "" || len(parts) != 4 {
		return false
	}
	key, found := r.keys.Key(parts[2])
	text := strings.Join(parts[:3], ".")
	return found && hmac.Equal([]byte(mark(text, key)), []byte(parts[3]))
}

// mark has 128 bits, so that a token is no longer than versions before read (FamilyOf).
func mark(text string, key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

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
