package control

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"waybill/internal/job"
	"waybill/internal/secret"
)

// slowKeys is a key store that answers late, and counts.
type slowKeys struct {
	KeyStore
	asked atomic.Int64
	fail  error
}

func (s *slowKeys) SealingKeys(context.Context) ([]SealingKey, error) {
	s.asked.Add(1)
	time.Sleep(3 * time.Second)
	return nil, s.fail
}

// Anybody may name a key that nobody knows, as often as they like.
func TestAllWhoMissAKeyWaitForOneLook(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]error{"there": nil, "away": job.Errorf(job.Unavailable, job.WordDependencyDown, "away")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &slowKeys{fail: fail}
				k := &Keyring{Store: store, Ring: secret.NewRing(), Masters: func() (secret.Masters, error) { return nil, nil }}
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() { k.missing(slog.New(slog.DiscardHandler)) })
				}
				all.Wait()
				k.missing(slog.New(slog.DiscardHandler))
				if n := store.asked.Load(); n != 1 {
					t.Fatalf("the store was asked %d times, want once", n)
				}
				time.Sleep(time.Second)
				if k.missing(slog.New(slog.DiscardHandler)); store.asked.Load() != 2 {
					t.Error("a second later nobody looks")
				}
			})
		})
	}
}
