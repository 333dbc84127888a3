package password

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
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

// TestTheQueueIsBounded: of any number that come at once, those beyond the places are told so at once, and use no processor.
func TestTheQueueIsBounded(t *testing.T) {
	h := New()
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	places := maxWaiting * cap(h.slots)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, places)
	for range places {
		go func() {
			_, err := h.Matches(ctx, "x", "")
			ended <- err
		}()
	}
	for deadline := time.Now().Add(time.Minute); h.waiting.Load() < int64(places); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d wait", h.waiting.Load(), places)
		}
	}
	for range 1000 {
		_, err := h.Matches(ctx, "x", "")
		var e *job.Error
		if !errors.As(err, &e) || e.Code != job.RateLimited || e.RetryAfter <= 0 {
			t.Fatalf("one too many: %v", err)
		}
	}
	cancel()
	for range places {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("one that waited: %v", err)
		}
	}
	for range cap(h.slots) {
		h.leave()
	}
	if _, err := h.Matches(t.Context(), "x", ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestRandomPasswordsDiffer(t *testing.T) {
	if a, b := Random(), Random(); a == b || len(a) != 24 {
		t.Errorf("got %q and %q", a, b)
	}
}
