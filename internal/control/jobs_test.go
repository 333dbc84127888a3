package control_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

func TestSubmitSnapshotsTheConfigAndStartsOnce(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	j := w.submit(c)
	if j.Status != job.Queued || j.RunNumber != 1 || j.Spec.PackageVersion != 1 || len(w.engine.starts) != 1 || w.engine.starts[0].JobID != j.ID {
		t.Errorf("got %+v, starts %+v", j, w.engine.starts)
	}
	w.upload(c, 99)
	if got := w.job(j.ID).Spec; got.PackageVersion != 1 || got.PackageSize != 64 {
		t.Errorf("a later upload changed the job: %+v", got)
	}
	if next := w.submit(c); next.Spec.PackageVersion != 2 || next.RunNumber != 2 {
		t.Errorf("the next job: %+v", next)
	}
}

func TestRefusedStartsLeaveNoJob(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.runnable(w.admin, "orders")
	bare, err := w.configs.Create(ctx, w.admin, control.ConfigInput{Name: "bare"})
	if err != nil {
		t.Fatal(err)
	}
	missing, err := w.configs.Create(ctx, w.admin, control.ConfigInput{Name: "missing", Runtime: job.RuntimeConfig{PackageName: "none.zip"}})
	if err != nil {
		t.Fatal(err)
	}
	off, err := w.configs.Create(ctx, w.admin, control.ConfigInput{Name: "off", Inactive: true})
	if err != nil {
		t.Fatal(err)
	}
	other := w.another("bob")
	version := 0
	for name, x := range map[string]struct {
		actor job.Actor
		req   control.SubmitRequest
		code  job.Code
		word  job.Word
	}{
		"unknown config":       {w.admin, control.SubmitRequest{Config: "9999"}, job.NotFound, job.WordNotFound},
		"malformed id":         {w.admin, control.SubmitRequest{Config: "01"}, job.NotFound, job.WordNotFound},
		"another account's":    {other, control.SubmitRequest{Config: c.ObjectID}, job.NotFound, job.WordNotFound},
		"another user's":       {job.Actor{AccountID: w.admin.AccountID, User: job.UserRef{ID: 77}}, control.SubmitRequest{Config: c.ObjectID}, job.Forbidden, job.WordAccessDenied},
		"inactive":             {w.admin, control.SubmitRequest{Config: off.ObjectID}, job.Conflict, job.WordInactiveConfig},
		"no package":           {w.admin, control.SubmitRequest{Config: bare.ObjectID}, job.Invalid, job.WordPackageMissing},
		"package not uploaded": {w.admin, control.SubmitRequest{Config: missing.ObjectID}, job.Invalid, job.WordPackageMissing},
		"version zero":         {w.admin, control.SubmitRequest{Config: c.ObjectID, Overrides: control.Overrides{PackageVersion: &version}}, job.Invalid, job.WordInvalidField},
		"macro loop": {w.admin, control.SubmitRequest{Config: c.ObjectID, Overrides: control.Overrides{Macros: []job.Macro{{Key: "A", Value: "$(A)"}}}},
			job.Invalid, job.WordInvalidField},
		"file leaves its folder": {w.admin, control.SubmitRequest{Config: c.ObjectID, Files: map[string]string{"../x": ""}}, job.Invalid, job.WordInvalidField},
		"file is also a folder":  {w.admin, control.SubmitRequest{Config: c.ObjectID, Files: map[string]string{"a": "", "a/b": ""}}, job.Invalid, job.WordInvalidField},
		"files too large": {w.admin, control.SubmitRequest{Config: c.ObjectID, Files: map[string]string{"a": strings.Repeat("x", 1<<20)}},
			job.TooLarge, job.WordTooLarge},
		"bad idempotency key": {w.admin, control.SubmitRequest{Config: c.ObjectID, IdempotencyKey: "a\nb"}, job.Invalid, job.WordInvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.jobs.Submit(ctx, x.actor, x.req)
			want(t, err, x.code, x.word)
		})
	}
	list, _, err := w.jobs.List(ctx, w.admin, job.Query{Size: 10})
	if err != nil || len(list.Items) != 0 || len(w.engine.starts) != 0 {
		t.Errorf("%d jobs, %d starts were left, err %v", len(list.Items), len(w.engine.starts), err)
	}
}

func TestOneIdempotencyKeyMakesOneJob(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	req := control.SubmitRequest{Config: c.ObjectID, IdempotencyKey: "run-1"}
	var group sync.WaitGroup
	ids := make([]job.ID, 8)
	for i := range ids {
		group.Go(func() {
			s, err := w.jobs.Submit(t.Context(), w.admin, req)
			if err != nil {
				t.Error(err)
			}
			ids[i] = s.Job.ID
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several jobs were made: %v", ids)
		}
	}
	if len(w.engine.starts) != 1 {
		t.Errorf("%d starts", len(w.engine.starts))
	}
	if err := w.configs.SetActive(t.Context(), w.admin, []string{c.ObjectID}, false); err != nil {
		t.Fatal(err)
	}
	if s, err := w.jobs.Submit(t.Context(), w.admin, req); err != nil || !s.Replayed || s.Job.ID != ids[0] {
		t.Errorf("a repeat after the config was switched off: %+v, %v", s, err)
	}
	if err := w.configs.SetActive(t.Context(), w.admin, []string{c.ObjectID}, true); err != nil {
		t.Fatal(err)
	}
	req.Tags = []string{"nightly"}
	_, err := w.jobs.Submit(t.Context(), w.admin, req)
	want(t, err, job.Conflict, job.WordIdempotency)
	w.Pass(25 * time.Hour)
	if s, err := w.jobs.Submit(t.Context(), w.admin, req); err != nil || s.Replayed {
		t.Errorf("after its day the key still counts: %+v, %v", s, err)
	}
}

// The digest of a request is stored, and the values of its secure macros are part of the request.
func TestIdempotencyDigestsTellNothingWithoutTheKey(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	var digests []string
	w.jobs.Writer = spy{w.store, func(s control.Submission) { digests = append(digests, s.Idempotency.Digest) }}
	for _, key := range []string{"one", "other"} {
		w.jobs.DigestKey = []byte(key)
		_, err := w.jobs.Submit(t.Context(), w.admin, control.SubmitRequest{Config: c.ObjectID, IdempotencyKey: key, Overrides: control.Overrides{
			Macros: []job.Macro{{Key: "PIN", Value: "1234", Secure: true}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(digests) != 2 || digests[0] == digests[1] {
		t.Errorf("digests %v do not depend on the installation's key", digests)
	}
}

// spy is a JobWriter that shows what is submitted.
type spy struct {
	control.JobWriter
	see func(control.Submission)
}

func (s spy) Submit(ctx context.Context, sub control.Submission) (job.Job, bool, error) {
	s.see(sub)
	return s.JobWriter.Submit(ctx, sub)
}

func TestARepeatedCallStartsAJobThatWasOnlyStored(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	req := control.SubmitRequest{Config: c.ObjectID, IdempotencyKey: "run-1"}
	w.engine.down = true // as for a process that ends between row and start
	made, err := w.jobs.Submit(t.Context(), w.admin, req)
	if err != nil {
		t.Fatal(err)
	}
	w.engine.down = false
	for range 2 {
		s, err := w.jobs.Submit(t.Context(), w.admin, req)
		if err != nil || !s.Replayed || s.Job.ID != made.Job.ID {
			t.Fatalf("a repeat: %+v, %v", s, err)
		}
	}
	if len(w.engine.starts) != 1 || w.engine.starts[0].JobID != made.Job.ID || w.engine.starts[0].TaskQueue != "queue-default" {
		t.Errorf("starts %+v", w.engine.starts)
	}
	w.finish(made.Job, job.Outcome{Status: job.Completed})
	delete(w.engine.states, made.Job.ID)
	if _, err := w.jobs.Submit(t.Context(), w.admin, req); err != nil || len(w.engine.starts) != 1 {
		t.Errorf("a repeat after the job's end: %v, starts %+v", err, w.engine.starts)
	}
}

func TestSubmitIsAcceptedWhileTheEngineIsDownAndStartedLater(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	w.engine.down = true
	j := w.submit(c)
	if !j.Unreachable || !w.job(j.ID).Unreachable {
		t.Errorf("the job does not say that the engine is away: %+v", j)
	}
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Second)); err == nil {
		t.Error("a sweep with the engine down reports no error")
	}
	w.engine.down = false
	for range 2 { // the second sweep finds it running
		if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.engine.starts) != 1 || w.engine.starts[0].JobID != j.ID || w.engine.starts[0].TaskQueue != "queue-default" {
		t.Errorf("starts %+v", w.engine.starts)
	}
	if w.job(j.ID).Unreachable {
		t.Error("the job still says that the engine is away")
	}
}

func TestCancelEndsQueuedJobsAtOnceAndAsksRunningOnes(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	queued, running := w.submit(c), w.submit(c)
	if _, _, err := w.store.Begin(t.Context(), running.AccountID, running.ID, job.Fence(w.Now(), 1), "worker", w.Now()); err != nil {
		t.Fatal(err)
	}
	if j, err := w.jobs.Cancel(t.Context(), w.admin, string(queued.ID)); err != nil || j.Status != job.Cancelled || j.StoppedBy != w.admin.User {
		t.Errorf("queued: %+v, %v", j, err)
	}
	w.engine.down = true // the wish is stored all the same
	for range 2 {
		if j, err := w.jobs.Cancel(t.Context(), w.admin, string(running.ID)); err != nil || j.Status != job.Cancelling || j.Reason != job.ReasonStopped {
			t.Errorf("running: %+v, %v", j, err)
		}
	}
	w.engine.down = false
	_, err := w.jobs.Cancel(t.Context(), w.admin, string(queued.ID))
	want(t, err, job.Conflict, job.WordJobFinished)
	w.engine.cancels = nil
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if len(w.engine.cancels) != 1 || w.engine.cancels[0] != running.ID {
		t.Errorf("the reconciler passed on %v, want the running job's cancel", w.engine.cancels)
	}
}

func TestBulkStopSkipsWhatIsNotQueued(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	queued, running, done := w.submit(c), w.submit(c), w.submit(c)
	if _, _, err := w.store.Begin(t.Context(), running.AccountID, running.ID, job.Fence(w.Now(), 1), "worker", w.Now()); err != nil {
		t.Fatal(err)
	}
	w.finish(done, failed())
	accepted, skipped, err := w.jobs.CancelMany(t.Context(), w.admin, []string{string(queued.ID), string(running.ID), string(done.ID), "x"}, false)
	if err != nil || len(accepted) != 1 || accepted[0] != string(queued.ID) {
		t.Errorf("accepted %v, %v", accepted, err)
	}
	wantSkipped := []control.Skipped{
		{ID: string(running.ID), Word: control.WordJobRunning}, {ID: string(done.ID), Word: job.WordJobFinished}, {ID: "x", Word: job.WordNotFound},
	}
	if len(skipped) != len(wantSkipped) {
		t.Fatalf("skipped %v", skipped)
	}
	for i := range skipped {
		if skipped[i] != wantSkipped[i] {
			t.Errorf("skipped %v, want %v", skipped[i], wantSkipped[i])
		}
	}
}

func TestRetryRunsTheSameSnapshotAndCompletesItsParents(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	first := w.submit(c)
	_, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID)})
	want(t, err, job.Conflict, job.WordJobNotFinished)
	w.finish(first, failed())
	w.upload(c, 99) // a retry stays on the version of the original

	s, err := w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{
		Job: string(first.ID), Overrides: control.Overrides{Macros: []job.Macro{{Key: "TARGET", Value: "b"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	second := s.Job
	if second.RetryOf != first.ID || second.Root != first.ID || second.RetryNumber != 1 || second.Spec.PackageVersion != 1 || len(second.Spec.Macros) != 1 {
		t.Errorf("got %+v", second)
	}
	if in := w.engine.starts[len(w.engine.starts)-1]; in.Parent != first.ID || in.Root != first.ID {
		t.Errorf("the workflow does not know its family: %+v", in)
	}
	_, err = w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(first.ID)})
	want(t, err, job.Conflict, job.WordRetryActive)
	w.finish(second, failed())

	newest := 2
	s, err = w.jobs.Retry(t.Context(), w.admin, control.RetryRequest{Job: string(second.ID), Overrides: control.Overrides{PackageVersion: &newest}})
	if err != nil {
		t.Fatal(err)
	}
	third := s.Job
	if third.RetryOf != second.ID || third.Root != first.ID || third.RetryNumber != 2 || third.Spec.PackageSize != 99 {
		t.Errorf("got %+v", third)
	}
	w.finish(third, job.Outcome{Status: job.Completed})
	if err := w.store.RollUp(t.Context(), third.AccountID, third.ID, w.Now()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []job.ID{first.ID, second.ID} {
		if j := w.job(id); j.Status != job.Failed || j.ResolvedBy != third.ID {
			t.Errorf("parent %+v is not completed by %s", j, third.ID)
		}
	}
	family, err := w.jobs.Family(t.Context(), w.admin, string(second.ID))
	if err != nil || family.Root != first.ID || len(family.Jobs) != 3 || family.Outcome.Status != job.Completed {
		t.Errorf("family %+v, %v", family, err)
	}
}

func TestRetryScopesThatDoNotFitAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	done, broken := w.submit(c), w.submit(c)
	w.finish(done, job.Outcome{Status: job.Completed})
	w.finish(broken, failed())
	for name, x := range map[string]struct {
		req  control.RetryRequest
		code job.Code
		word job.Word
	}{
		"failed step of a success": {control.RetryRequest{Job: string(done.ID), Scope: job.RetryFailedStep}, job.Conflict, job.WordNothingToRetry},
		"no open records":          {control.RetryRequest{Job: string(broken.ID), Scope: job.RetryFailedRecords}, job.Conflict, job.WordNothingToRetry},
		"unknown record": {control.RetryRequest{Job: string(broken.ID), Scope: job.RetryFailedRecords, RecordIDs: []string{"7"}},
			job.Invalid, job.WordUnknownRecord},
		"records with another scope": {control.RetryRequest{Job: string(broken.ID), RecordIDs: []string{"7"}}, job.Invalid, job.WordInvalidField},
		"unknown scope":              {control.RetryRequest{Job: string(broken.ID), Scope: "half"}, job.Invalid, job.WordInvalidField},
		"unknown job":                {control.RetryRequest{Job: newID()}, job.NotFound, job.WordNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.jobs.Retry(t.Context(), w.admin, x.req)
			want(t, err, x.code, x.word)
		})
	}
}

func TestTerminatedWorkflowsAreSettled(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	queued, running, cancelling, healthy := w.submit(c), w.submit(c), w.submit(c), w.submit(c)
	for _, j := range []job.Job{running, cancelling} {
		if _, _, err := w.store.Begin(t.Context(), j.AccountID, j.ID, job.Fence(w.Now(), 1), "worker", w.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.jobs.Cancel(t.Context(), w.admin, string(cancelling.ID)); err != nil {
		t.Fatal(err)
	}
	for _, j := range []job.Job{queued, running, cancelling} {
		w.engine.states[j.ID] = control.EngineTerminated
	}
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		id     job.ID
		status job.Status
		reason job.Reason
	}{
		{queued.ID, job.Cancelled, job.ReasonTerminated}, {running.ID, job.Failed, job.ReasonTerminated},
		{cancelling.ID, job.Cancelled, job.ReasonStopped}, {healthy.ID, job.Queued, job.ReasonNone},
	} {
		if j := w.job(x.id); j.Status != x.status || j.Reason != x.reason {
			t.Errorf("%s %s, want %s %s", j.Status, j.Reason, x.status, x.reason)
		}
	}
}

func TestJobsOfALostEngineAreStartedAgain(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	queued, running := w.submit(c), w.submit(c)
	if _, _, err := w.store.Begin(t.Context(), running.AccountID, running.ID, job.Fence(w.Now(), 1), "worker", w.Now()); err != nil {
		t.Fatal(err)
	}
	clear(w.engine.states)
	w.engine.starts = nil
	w.mender.Check(t.Context(), w.admin.AccountID+1, queued.ID) // not that account's
	if len(w.engine.starts) != 0 {
		t.Error("Check looks at another account's job")
	}
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if len(w.engine.starts) != 2 {
		t.Errorf("%d started again, want 2", len(w.engine.starts))
	}
}

// One job that can not be mended must not keep the reconciler from the others, for ever.
func TestJobsBehindOneThatCanNotBeMendedAreMended(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	poison, good := w.submit(c), w.submit(c)
	clear(w.engine.states)
	w.engine.starts, w.engine.refused = nil, poison.ID
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); err != nil {
		t.Errorf("the sweep ends with %v", err)
	}
	if len(w.engine.starts) != 1 || w.engine.starts[0].JobID != good.ID {
		t.Errorf("started %v, want %s", w.engine.starts, good.ID)
	}
	w.engine.down = true
	if err := w.mender.Sweep(t.Context(), w.Now().Add(time.Hour)); job.CodeOf(err) != job.Unavailable {
		t.Errorf("with the engine down the sweep ends with %v", err)
	}
}

func TestRunLoopsUntilItsContextEnds(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	w.engine.down = true
	j := w.submit(c)
	w.engine.mu.Lock()
	w.engine.down = false
	w.engine.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	w.Pass(time.Second) // the sweep looks at what was written before now
	go func() {
		defer close(done)
		w.mender.Run(ctx, func(control.Pass) {})
	}()
	deadline := time.After(20 * time.Second)
	for started := false; !started; {
		select {
		case <-deadline:
			t.Fatal("the job was never started")
		case <-time.After(5 * time.Millisecond):
			w.engine.mu.Lock()
			started = len(w.engine.starts) == 1 && w.engine.starts[0].JobID == j.ID
			w.engine.mu.Unlock()
		}
	}
	cancel()
	<-done
}

func TestWaitEndsWithTheJobOrItsTime(t *testing.T) {
	w := newWorld(t)
	c := w.runnable(w.admin, "orders")
	j := w.submit(c)
	if got, err := w.jobs.Wait(t.Context(), w.admin, string(j.ID), time.Millisecond); err != nil || got.Status != job.Queued {
		t.Errorf("a wait that is over: %+v, %v", got, err)
	}
	seen := make(chan job.Job)
	go func() {
		got, err := w.jobs.Wait(context.WithoutCancel(t.Context()), w.admin, string(j.ID), time.Minute)
		if err != nil {
			t.Error(err)
		}
		seen <- got
	}()
	w.finish(j, failed())
	w.jobs.Bell.Ring(j.ID)
	if got := <-seen; got.Status != job.Failed {
		t.Errorf("waited for %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.jobs.Wait(ctx, w.admin, string(w.submit(c).ID), time.Minute)
	if job.CodeOf(err) != job.Canceled {
		t.Errorf("caller gone: %v, want canceled", err)
	}
}
