package password

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestOnlyTheRightPasswordMatches(t *testing.T) {
	h := New()
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("hash is %q, want a PHC string of argon2id", hash)
	}
	for password, want := range map[string]bool{"correct horse": true, "Correct horse": false, "": false} {
		if got, err := h.Matches(t.Context(), password, hash); err != nil || got != want {
			t.Errorf("Matches(%q) = %v, %v, want %v", password, got, err, want)
		}
	}
	if got, err := h.Matches(t.Context(), "nobody's password", ""); err != nil || got {
		t.Errorf("an unknown user matched: %v, %v", got, err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	h := New()
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

func TestRandomPasswordsDiffer(t *testing.T) {
	if a, b := Random(), Random(); a == b || len(a) != 24 {
		t.Errorf("got %q and %q", a, b)
	}
}
