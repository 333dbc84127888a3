package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testBox(t *testing.T, use string) Box {
	t.Helper()
	keys, err := NewKeys(make([]byte, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	box, err := NewBox(keys, use)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestSealedValueOpensAndHidesTheValue(t *testing.T) {
	box := testBox(t, "macros")
	for _, value := range []string{"", "hunter2", strings.Repeat("ä", 10_000)} {
		sealed := box.Seal(value)
		if value != "" && strings.Contains(sealed, value) {
			t.Errorf("%q shows in its sealed form", value)
		}
		if sealed == box.Seal(value) {
			t.Error("sealing twice gives the same text")
		}
		if opened, err := box.Open(sealed); err != nil || opened != value {
			t.Errorf("Open = %q, %v", opened, err)
		}
	}
}

func TestForeignOrChangedTextDoesNotOpen(t *testing.T) {
	box := testBox(t, "macros")
	sealed := box.Seal("hunter2")
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for _, last := range digits { // some of them differ in bits only that mean nothing
		changed := sealed[:len(sealed)-1] + string(last)
		if _, err := box.Open(changed); changed != sealed && !errors.Is(err, ErrNotSealed) {
			t.Errorf("%q opens as well as %q: %v", changed, sealed, err)
		}
	}
	for name, text := range map[string]string{
		"other use": testBox(t, "other").Seal("hunter2"), "cut": sealed[:len(sealed)-4],
		"no prefix": "hunter2", "empty": "", "not base64": "v1:!!!", "only the prefix": "v1:",
	} {
		if _, err := box.Open(text); !errors.Is(err, ErrNotSealed) {
			t.Errorf("%s: err = %v, want ErrNotSealed", name, err)
		}
	}
}

func TestMasterKeyIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	first, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(first[0].Derive("x")) != string(second[0].Derive("x")) || string(first[0].Derive("x")) == string(first[0].Derive("y")) {
		t.Error("keys do not depend on file and use alone")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("not hex"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(path); err == nil {
		t.Error("a damaged key file was taken, or replaced")
	}
}
