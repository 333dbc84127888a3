package secret

import (
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// sealOld seals as the first format did, which named no key.
func sealOld(k Keys, use, value string) string {
	a := NewRing(Numbered{1, k}).aead(k.ID(), use)
	return prefix1 + base64.RawStdEncoding.EncodeToString(a.Seal(nil, nil, []byte(value), nil))
}

func TestTheNewestKeySealsAndAllOpen(t *testing.T) {
	one, two := NewKey(), NewKey()
	ring := NewRing(Numbered{1, one})
	box := ring.Box("macros")
	first, old := box.Seal("a"), sealOld(one, "macros", "b")
	ring.Set([]Numbered{{2, two}, {1, one}})
	if second := box.Seal("c"); !strings.HasPrefix(second, "v2:"+two.ID()+":") || !strings.HasPrefix(first, "v2:"+one.ID()+":") {
		t.Errorf("sealed by %.12s, then by %.12s", first, second)
	}
	for text, want := range map[string]string{first: "a", old: "b", box.Seal("c"): "c"} {
		if got, err := box.Open(text); err != nil || got != want {
			t.Errorf("Open = %q, %v, want %q", got, err, want)
		}
	}
	ring.Set([]Numbered{{2, two}})
	for _, text := range []string{first, old} {
		if _, err := box.Open(text); !errors.Is(err, ErrNotSealed) {
			t.Errorf("without its key: %v", err)
		}
	}
	if _, err := box.Open(first); !strings.Contains(err.Error(), one.ID()) {
		t.Errorf("the error does not name the key: %v", err)
	}
	ring.OnMissing(func(id string) { ring.Set([]Numbered{{1, one}, {2, two}}) })
	if got, err := box.Open(first); err != nil || got != "a" {
		t.Errorf("with a key that is found when it is missed: %q, %v", got, err)
	}
}

func TestResealFindsTextsInsideOthers(t *testing.T) {
	one, two := NewKey(), NewKey()
	ring := NewRing(Numbered{1, one})
	box := ring.Box("macros")
	looks := "v1:" + strings.Repeat("A", 50)
	text := `{"a":"` + box.Seal("x") + `","b":["` + sealOld(one, "macros", "y/+") + `","` + looks + `"]}`
	ring.Set([]Numbered{{1, one}, {2, two}})
	resealed, by := box.Reseal(text)
	if by[one.ID()] != 2 || len(by) != 1 || !strings.Contains(resealed, looks) || strings.Contains(resealed, one.ID()) {
		t.Errorf("%v: %s", by, resealed)
	}
	again, by := box.Reseal(resealed)
	if again != resealed || by[two.ID()] != 2 || len(by) != 1 {
		t.Errorf("a second time: %v: %s", by, again)
	}
}

func TestSeveralMasterKeysInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	one, two := NewKey(), NewKey()
	if err := Store(path, Masters{two, one}); err != nil {
		t.Fatal(err)
	}
	m, err := Load(path)
	if err != nil || len(m) != 2 || m[0].ID() != two.ID() || m.Ring().Newest() != two.ID() {
		t.Errorf("%v, %v", m, err)
	}
	if m, err = ParseMasters(two.Text() + ", " + one.Text()); err != nil || len(m) != 2 || m[1].Text() != one.Text() {
		t.Errorf("%v, %v", m, err)
	}
	for _, bad := range []string{"", " , ", "xyz", one.Text() + "," + "00"} {
		if _, err := ParseMasters(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
