package token

import (
	"strings"
	"testing"
)

func TestRefreshTokenNamesItsFamily(t *testing.T) {
	k, _ := ring()
	r := NewRefresher(k)
	longest := strings.Repeat("f", 64)
	for _, family := range []string{"fam", "sso-fam", longest} {
		if got := FamilyOf(r.New(family)); got != family {
			t.Errorf("FamilyOf = %q, want %q", got, family)
		}
	}
	for _, text := range []string{"", ".", ".x", "fam", "fam.", strings.Repeat("f", 65) + ".x", "f." + strings.Repeat("x", 200)} {
		if got := FamilyOf(text); got != "" {
			t.Errorf("FamilyOf(%q) = %q, want none", text, got)
		}
	}
	if a, b := r.New("fam"), r.New("fam"); a == b || Hash(a) == Hash(b) {
		t.Error("refresh tokens repeat")
	}
}

func TestOnlyRefreshTokensThatWereMadeAreKnown(t *testing.T) {
	k, _ := ring()
	r := NewRefresher(k)
	good := r.New("fam")
	parts := strings.Split(good, ".")
	older := NewRefresher(oneKeyOf(k, "0000000a")).New("fam")
	for _, text := range []string{good, older} {
		if !r.Made(text) {
			t.Errorf("%s was made here", text)
		}
	}
	swapped := func(at int, part string) string {
		other := append([]string(nil), parts...)
		other[at] = part
		return strings.Join(other, ".")
	}
	for name, text := range map[string]string{
		"of another family": swapped(0, "other"), "with another secret": swapped(1, "AAAAAAAAAAAAAAAAAAAAAAAAAA"), "with another key": swapped(2, "0000000a"),
		"with a key nobody has": swapped(2, "0000000c"), "with no key": swapped(2, ""), "marked otherwise": swapped(3, strings.Repeat("A", 22)),
		"with no mark": swapped(3, ""), "with a mark cut off": good[:len(good)-1], "longer": good + "A", "with another part": good + ".A",
		"as versions before made them": parts[0] + "." + parts[1], "empty": "", "of no family": "." + strings.Join(parts[1:], "."),
	} {
		if r.Made(text) {
			t.Errorf("a token %s passes: %s", name, text)
		}
	}
	delete(k.all, "0000000a")
	if r.Made(older) || !r.Made(good) {
		t.Error("a key that was dropped still tells")
	}
}

// oneKeyOf is the keys as they were when the named one was the newest.
func oneKeyOf(s seeds, id string) KeySource { return oneKeyNamed{id, s.all[id]} }

type oneKeyNamed struct {
	id  string
	key []byte
}

func (k oneKeyNamed) Newest() (string, []byte) { return k.id, k.key }

func (k oneKeyNamed) Key(id string) ([]byte, bool) { return k.key, id == k.id }
