package sso

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"waybill/internal/job"
)

// silent is a provider that takes calls and does not answer before it is told to.
type silent struct {
	asked  atomic.Int64
	called chan struct{}
	answer chan struct{}
}

func (s *silent) RoundTrip(*http.Request) (*http.Response, error) {
	s.asked.Add(1)
	s.called <- struct{}{}
	<-s.answer
	return nil, errors.New("no answer")
}

// TestASilentProviderHoldsNobody: who waits for it can go, it is asked once for all, and not again at once when it did not answer.
func TestASilentProviderHoldsNobody(t *testing.T) {
	t.Parallel()
	s := &silent{called: make(chan struct{}, 10), answer: make(chan struct{})}
	p := New(Config{Issuer: "https://idp.example.com", Redirect: func() string { return "" }, Transport: s})
	first := make(chan error, 1)
	go func() {
		_, _, err := p.Begin(context.Background())
		first <- err
	}()
	<-s.called
	gone, leave := context.WithTimeout(t.Context(), time.Millisecond)
	defer leave()
	second := make(chan error, 1)
	go func() {
		_, _, err := p.Begin(gone)
		second <- err
	}()
	select {
	case err := <-second:
		if job.CodeOf(err) != job.Unavailable {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("who has gone still waits for the provider")
	}
	close(s.answer)
	if err := <-first; job.CodeOf(err) != job.Unavailable {
		t.Error(err)
	}
	if _, _, err := p.Begin(t.Context()); job.CodeOf(err) != job.Unavailable || s.asked.Load() != 1 {
		t.Errorf("%v after %d calls", err, s.asked.Load())
	}
}
