package job

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestStatusMovesAreTheTableOfTheSpecification(t *testing.T) {
	allowed := map[[2]Status]bool{ // native.md, 6.1, and ours: Running again for a rerun, Queued to Failed
		{Queued, Running}: true, {Queued, Cancelled}: true, {Queued, Failed}: true, // failed: no worker took it in time
		{Running, Completed}: true, {Running, Failed}: true, {Running, Cancelling}: true, {Running, Queued}: true, {Running, Running}: true,
		{Cancelling, Cancelled}: true, {Cancelling, Failed}: true, {Cancelling, Completed}: true,
	}
	for _, from := range Statuses {
		for _, to := range Statuses {
			if got := from.CanBecome(to); got != allowed[[2]Status{from, to}] {
				t.Errorf("%s -> %s: %v", from, to, got)
			}
			if slices.Contains(Sources(to), from) != from.CanBecome(to) {
				t.Errorf("Sources(%s) disagrees about %s", to, from)
			}
		}
		if from.Final() && slices.ContainsFunc(Statuses, from.CanBecome) {
			t.Errorf("%s is final but may change", from)
		}
		if !from.Valid() {
			t.Errorf("%s is not valid", from)
		}
	}
	if Status("done").Valid() {
		t.Error("an unknown status is valid")
	}
}

func TestEveryUnfinishedStatusHasAPathToEveryEnding(t *testing.T) {
	for _, from := range Statuses {
		for _, to := range []Status{Completed, Failed, Cancelled} {
			path := Path(from, to)
			if from.Final() {
				if path != nil {
					t.Errorf("Path(%s, %s) = %v out of a final status", from, to, path)
				}
				continue
			}
			at := from
			for _, next := range path {
				if !at.CanBecome(next) {
					t.Errorf("Path(%s, %s) = %v makes the forbidden move %s -> %s", from, to, path, at, next)
				}
				at = next
			}
			if at != to {
				t.Errorf("Path(%s, %s) = %v", from, to, path)
			}
		}
	}
	if got := Path(Queued, Cancelled); len(got) != 1 {
		t.Errorf("Path(queued, cancelled) = %v is not the shortest", got)
	}
}

func TestFenceGrowsWithAttemptsAndRuns(t *testing.T) {
	start := time.Date(2026, 3, 17, 9, 40, 0, 0, time.UTC)
	fences := []int64{
		Fence(start, 1), Fence(start, 2), Fence(start, 1_000_000), SettleFence(start),
		Fence(start.Add(time.Millisecond), 1), SettleFence(start.Add(time.Millisecond)), Fence(start.AddDate(100, 0, 0), 1),
	}
	if !slices.IsSorted(fences) || fences[0] <= 0 {
		t.Errorf("fences do not grow: %v", fences)
	}
	for i := 1; i < len(fences); i++ {
		if fences[i] == fences[i-1] {
			t.Errorf("fences %d and %d are equal", i-1, i)
		}
	}
}

func TestRetryPolicyPausesGrowUpToTheirLimit(t *testing.T) {
	p := RetryPolicy{MaximumAttempts: 4, InitialInterval: time.Second, BackoffCoefficient: 3, MaximumInterval: 8 * time.Second, NonRetryable: []int{7}}
	for n, want := range []time.Duration{1: time.Second, 2: 3 * time.Second, 3: 8 * time.Second, 4: 8 * time.Second, 5000: 8 * time.Second} {
		if want > 0 && p.Pause(n) != want {
			t.Errorf("Pause(%d) = %s, want %s", n, p.Pause(n), want)
		}
	}
	if got := (RetryPolicy{}).Pause(1); got != 10*time.Second {
		t.Errorf("default pause %s, want 10s", got)
	}
	for _, c := range []struct {
		n, exit int
		want    bool
	}{{1, 1, true}, {3, 1, true}, {4, 1, false}, {1, 7, false}} {
		if got := p.Again(c.n, c.exit); got != c.want {
			t.Errorf("Again(%d, %d) = %v", c.n, c.exit, got)
		}
	}
	if (RetryPolicy{}).Again(1, 1) {
		t.Error("the zero policy tries twice")
	}
}

func TestOutcomeOfAChain(t *testing.T) {
	failed, done := Job{ID: "a", Status: Failed}, Job{ID: "b", Status: Completed}
	records := Job{ID: "e", Status: Completed, RetryScope: RetryFailedRecords}
	for name, c := range map[string]struct {
		chain []Job
		want  ID
	}{
		"a success below stands for the chain":       {[]Job{failed, done}, "b"},
		"without one the newest does":                {[]Job{failed, {ID: "c", Status: Cancelled}}, "c"},
		"a success is not undone by a later failure": {[]Job{failed, done, {ID: "d", Status: Failed}}, "b"},
		"some records are not the whole":             {[]Job{{ID: "a", Status: Failed, ErrorsOpen: 1}, records}, "a"},
		"the last open records make the whole":       {[]Job{{ID: "a", Status: Failed, ErrorsResolved: 2}, records}, "e"},
		"a retry of records that failed is newest":   {[]Job{{ID: "a", Status: Failed, ErrorsOpen: 1}, {ID: "f", Status: Failed, RetryScope: RetryFailedRecords}}, "f"},
		"only a part is known":                       {[]Job{{ID: "e", Status: Completed, RetryScope: RetryFailedRecords, ErrorsOpen: 1}}, "e"},
	} {
		if got := OutcomeOf(c.chain).ID; got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestErrorsKeepTheirCauseOutOfTheMessage(t *testing.T) {
	cause := errors.New("SELECT failed")
	err := fmt.Errorf("around: %w", Wrap(cause, Unavailable, WordDependencyDown, "The database is down"))
	if CodeOf(err) != Unavailable || WordOf(err) != WordDependencyDown || !errors.Is(err, cause) {
		t.Errorf("code %s, word %s", CodeOf(err), WordOf(err))
	}
	var e *Error
	if !errors.As(err, &e) || e.Message != "The database is down" {
		t.Errorf("message %q", e.Message)
	}
	if CodeOf(cause) != Internal || CodeOf(nil) != "" || WordOf(cause) != "" {
		t.Error("errors of others are not internal")
	}
}

func TestJobIDsHaveOneForm(t *testing.T) {
	for id, want := range map[string]bool{
		"69b9209b00000000000000c1": true, "69B9209B00000000000000C1": false, "69b9209b00000000000000c": false,
		"69b9209b00000000000000c11": false, "": false, "69b9209b00000000000000cg": false, "../../../../../etc/passwd": false,
	} {
		if ValidID(id) != want {
			t.Errorf("ValidID(%q) = %v", id, !want)
		}
	}
}

func TestObjectKeysAreApartForAccounts(t *testing.T) {
	if BlobKey(1, "abcd") == BlobKey(2, "abcd") || LogPrefix(1, "x") == LogPrefix(2, "x") || OutputKey(1, "x", 1, "f") == OutputKey(1, "x", 2, "f") {
		t.Error("keys are shared between accounts or attempts")
	}
}
