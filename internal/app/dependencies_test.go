package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"waybill/api"
)

func TestASilentDependencySaysNothingOfTheOthers(t *testing.T) {
	t.Parallel()
	heard := make(chan struct{}, 2)
	answers := func(context.Context) error {
		heard <- struct{}{}
		return nil
	}
	silent := func(ctx context.Context) error { // until both others were asked and its time is over
		for range 2 {
			select {
			case <-heard:
			case <-time.After(20 * time.Second):
				return errors.New("the others were not asked meanwhile")
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
	// Long enough for those that answer, on any machine; the silent one takes all of it.
	found := askAll(t.Context(), 3*time.Second, dependency{"database", silent}, dependency{"objects", answers}, dependency{"engine", answers})
	if len(found) != 3 || found[0].Name != "database" || !errors.Is(found[0].Err, context.DeadlineExceeded) {
		t.Fatalf("found %+v", found)
	}
	if found[1] != (api.CheckResult{Name: "objects"}) || found[2] != (api.CheckResult{Name: "engine"}) {
		t.Errorf("found %+v", found)
	}
}
