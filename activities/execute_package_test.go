package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/runner"
	"waybill/workflows/contract"
)

const (
	jobID   = job.ID("69b9209b00000000000000c1")
	account = int64(7)
)

var runStarted = time.Date(2026, 3, 17, 9, 41, 47, 0, time.UTC)

// bench is all an execution needs.
type bench struct {
	t       *testing.T
	store   *jobStore
	objects *objects
	engine  *engine
	bell    *bell
	gone    *gone
	cfg     Config
	in      contract.ExecuteInput
	work    string
	stop    chan struct{} // the worker's stop channel
	sdk     context.Context
	end     context.CancelCauseFunc // ends the activity's context as the SDK does
}

// newBench makes a job whose package is one shell script.
func newBench(t *testing.T, script string) *bench {
	t.Helper()
	work := filepath.Join(t.TempDir(), "work")
	r, err := runner.New(t.Context(), runner.Config{Work: work, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	sum := sha256.Sum256([]byte(script))
	digest := hex.EncodeToString(sum[:])
	b := &bench{
		t: t, work: work, engine: &engine{}, bell: &bell{}, gone: &gone{}, stop: make(chan struct{}),
		objects: &objects{all: map[string][]byte{job.BlobKey(account, digest): []byte(script)}, fail: map[string]int{}},
		store: &jobStore{
			job: job.Job{ID: jobID, AccountID: account, ConfigID: 44, Status: job.Queued, Spec: job.Spec{
				PackageName: "run.sh", PackageSHA256: digest, PackageSize: int64(len(script)),
			}},
			fail: map[string]int{}, failLate: map[string]int{},
		},
		in: contract.ExecuteInput{JobID: jobID, AccountID: account, RunStarted: runStarted, Grace: 20 * time.Second},
	}
	b.sdk, b.end = context.WithCancelCause(t.Context())
	t.Cleanup(func() { b.end(nil) })
	b.cfg = Config{
		Run: b.store, Settlement: b.store, Objects: b.objects, Secrets: secrets{}, Bell: b.bell, Gone: b.gone, Runner: r,
		Engine: b.engine, Worker: "worker-1", Beat: 5 * time.Millisecond, NoteStarted: time.Hour, Patience: 5 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	}
	return b
}

// execute runs the activity as a worker would.
func (b *bench) execute() (contract.JobResult, error) {
	b.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{BackgroundActivityContext: b.sdk})
	env.SetWorkerStopChannel(b.stop)
	env.SetTestTimeout(time.Minute)
	New(b.cfg).Register(env)
	value, err := env.ExecuteActivity(contract.ExecutePackage, b.in)
	if err != nil {
		return contract.JobResult{}, err
	}
	var result contract.JobResult
	if err := value.Get(&result); err != nil {
		b.t.Fatal(err)
	}
	return result, nil
}

// when runs f once the log holds text.
func (b *bench) when(text string, f func()) {
	go func() {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			if strings.Contains(b.log(), text) {
				f()
				return
			}
		}
		b.t.Errorf("the log never showed %q", text)
		f()
	}()
}

// log is the stored log without its time stamps.
func (b *bench) log() string {
	r, err := joblog.Reader{Objects: b.objects}.Open(context.Background(), account, jobID, 0, -1)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		b.t.Error(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		out.WriteString(line[min(25, len(line)):])
	}
	return out.String()
}

func (b *bench) check(status job.Status, reason job.Reason, history string) {
	b.t.Helper()
	j := b.store.get()
	if j.Status != status || j.Reason != reason {
		b.t.Errorf("job is %s (%s), want %s (%s); message %q", j.Status, j.Reason, status, reason, j.Message)
	}
	if got := strings.Join(b.store.history, " "); got != history {
		b.t.Errorf("writes: %s, want %s", got, history)
	}
}

func typeOf(err error) (string, bool) {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Type(), app.NonRetryable()
	}
	return "", false
}

func TestSuccess(t *testing.T) {
	b := newBench(t, `echo "hello $TOKEN"; printf data >"$LOCAL_JOB_OUT_DIR/orders.ndjson"`)
	b.store.job.Spec.Macros = []job.Macro{{Key: "TOKEN", Sealed: "sealed:s3cret", Secure: true}}
	result, err := b.execute()
	if err != nil || result.Status != job.Completed || result.JobID != jobID || result.ReturnCode == nil || *result.ReturnCode != 0 {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
	if !strings.HasPrefix(b.store.sandbox, b.cfg.Runner.Sandbox()) {
		t.Errorf("the sandbox is told as %q", b.store.sandbox)
	}
	if b.log() != "hello ***\n" {
		t.Errorf("log %q", b.log())
	}
	fence := job.Fence(runStarted, 1)
	sum := sha256.Sum256([]byte("data"))
	if len(b.store.outputs) != 1 || b.store.outputs[0].Object != job.OutputKey(account, jobID, fence, "orders.ndjson") ||
		b.store.outputs[0].SHA256 != hex.EncodeToString(sum[:]) || string(b.objects.all[b.store.outputs[0].Object]) != "data" {
		t.Errorf("outputs %+v", b.store.outputs)
	}
	if b.store.job.Fence != fence || b.store.job.Worker != "worker-1" || b.bell.rings < 3 {
		t.Errorf("fence %d, worker %q, %d rings", b.store.job.Fence, b.store.job.Worker, b.bell.rings)
	}
	if signals, _ := b.engine.counts(); signals != 0 {
		t.Error("a short job signalled its workflow")
	}
}

func TestTheProgramHasATokenOfItsAttempt(t *testing.T) {
	b := newBench(t, `echo "${#SESSION_ID} $SESSION_ID $WAYBILL_URL"`)
	b.cfg.Tokens, b.cfg.URL = issuer{}, func() string { return "http://waybill.example" }
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	token, _ := issuer{}.Issue(b.store.get(), job.Fence(runStarted, 1))
	if want := fmt.Sprintf("%d *** http://waybill.example\n", len(token)); b.log() != want {
		t.Errorf("log %q, want %q", b.log(), want)
	}
}

type issuer struct{}

func (issuer) Issue(j job.Job, fence int64) (string, error) {
	return fmt.Sprintf("token-of-%s-%d", j.ID, fence), nil
}

func TestFailures(t *testing.T) {
	retry := job.RetryPolicy{MaximumAttempts: 3, InitialInterval: time.Minute, NonRetryable: []int{9}}
	cases := []struct {
		name, script string
		change       func(*bench)
		status       job.Status
		reason       job.Reason
		code         int // -1: none
		message, log string
	}{
		{"exit code", "echo no; exit 3", nil, job.Failed, job.ReasonError, 3, "The program ended with exit code 3", "no\n"},
		{"signal", "kill -TERM $$", nil, job.Failed, job.ReasonError, 143, "The program was ended by signal SIGTERM", ""},
		{"a limit", `head -c 3000000 /dev/zero >"$TMPDIR/f"; while :; do sleep 1; done`, func(b *bench) {
			b.store.job.Spec.Resources = job.Resources{DiskMiB: 2}
		}, job.Failed, job.ReasonTerminated, 137, "it used more than its limit of 2 MiB of disk space", "waybill: The program was ended: it used more than"},
		{"last attempt", "exit 3", func(b *bench) { b.store.job.Spec.Retry, b.store.job.Failures = retry, 2 }, job.Failed, job.ReasonError, 3, "exit code 3", ""},
		{"exit code that ends at once", "exit 9", func(b *bench) { b.store.job.Spec.Retry = retry }, job.Failed, job.ReasonError, 9, "exit code 9", ""},
		{"entry point absent", "exit 0", func(b *bench) { b.store.job.Spec.EntryPoint = "x.sh" }, job.Failed, job.ReasonInvalidPackage, -1, "'x.sh' is not in the package", "waybill: Entry point"},
		{"interpreter missing", "#!/no/such/lang\n", func(b *bench) { b.rename("run.lang") }, job.Failed, job.ReasonInvalidPackage, -1, "'/no/such/lang'", "is not installed"},
		{"package gone", "exit 0", func(b *bench) { clear(b.objects.all) }, job.Failed, job.ReasonInvalidPackage, -1, "no longer in the object store", ""},
		{"package changed", "exit 0", func(b *bench) { b.replace("exit 1") }, job.Failed, job.ReasonInvalidPackage, -1, "differs from the one that was uploaded", ""},
		{"no archive", "exit 0", func(b *bench) { b.rename("p.zip") }, job.Failed, job.ReasonInvalidPackage, -1, "not a zip archive", ""},
		{"secret of another key", "exit 0", func(b *bench) {
			b.store.job.Spec.Macros = []job.Macro{{Key: "A", Sealed: "zzz", Secure: true}}
		}, job.Failed, job.ReasonError, -1, "The value of macro 'A' can not be opened", ""},
		{"output that breaks a rule", `touch "$LOCAL_JOB_OUT_DIR/$(printf 'a\tb')"`, nil, job.Failed, job.ReasonError, 0, "has control characters", "waybill: The name of output file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.script)
			if c.change != nil {
				c.change(b)
			}
			result, err := b.execute()
			if err != nil || result.Status != c.status || result.Reason != c.reason {
				t.Fatalf("got %+v %v", result, err)
			}
			j := b.store.get()
			if (c.code < 0) != (j.ReturnCode == nil) || c.code >= 0 && *j.ReturnCode != c.code {
				t.Errorf("return code %v, want %d", j.ReturnCode, c.code)
			}
			if !strings.Contains(j.Message, c.message) || !strings.Contains(b.log(), c.log) {
				t.Errorf("message %q, log %q", j.Message, b.log())
			}
		})
	}
}

func (b *bench) rename(name string) { b.store.job.Spec.PackageName = name }

func (b *bench) replace(text string) {
	for key := range b.objects.all {
		b.objects.all[key] = []byte(text)
	}
}

func TestFailedProgramGetsAnotherAttempt(t *testing.T) {
	b := newBench(t, "echo try; exit 3")
	b.store.job.Spec.Retry = job.RetryPolicy{MaximumAttempts: 3, InitialInterval: time.Minute}
	b.store.job.Failures = 1
	_, err := b.execute()
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != contract.ErrAttemptFailed || app.NonRetryable() || app.NextRetryDelay() != 2*time.Minute {
		t.Fatalf("got %v", err)
	}
	b.check(job.Queued, job.ReasonNone, "Begin Started Again")
	if b.store.job.Failures != 2 || time.Until(b.store.again) < time.Minute {
		t.Errorf("%d failures, again at %v", b.store.job.Failures, b.store.again)
	}
	if b.log() != "try\n" {
		t.Errorf("log %q", b.log())
	}
}

func TestFenced(t *testing.T) {
	cases := []struct {
		name    string
		change  func(*bench)
		history string
	}{
		{"a newer attempt has it", func(b *bench) { b.store.job.Fence, b.store.job.Status = job.Fence(runStarted, 2), job.Running }, ""},
		{"final", func(b *bench) { b.store.job.Status = job.Cancelled }, ""},
		{"being cancelled before anybody took it", func(b *bench) { b.store.job.Status = job.Cancelling }, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "echo ran")
			c.change(b)
			_, err := b.execute()
			if typ, final := typeOf(err); typ != contract.ErrFenced || !final {
				t.Errorf("got %v", err)
			}
			if b.log() != "" || len(b.store.history) != 0 {
				t.Errorf("log %q, writes %v", b.log(), b.store.history)
			}
		})
	}
	t.Run("taken over while it ran", func(t *testing.T) {
		b := newBench(t, "echo running; while [ ! -e \"$TMPDIR/go\" ]; do sleep 0.01; done")
		b.when("running", func() {
			b.store.mu.Lock()
			defer b.store.mu.Unlock()
			b.store.job.Fence++
			letGo(t, b)
		})
		_, err := b.execute()
		if typ, final := typeOf(err); typ != contract.ErrFenced || !final {
			t.Errorf("got %v", err)
		}
		if b.store.get().Status != job.Running {
			t.Error("the slow worker wrote")
		}
	})
}

// letGo makes the file that a waiting script looks for.
func letGo(t *testing.T, b *bench) {
	found, err := filepath.Glob(filepath.Join(b.work, "jobs", string(jobID)+"-*", "tmp"))
	if err != nil || len(found) != 1 {
		t.Errorf("job folders %v %v", found, err)
		return
	}
	if err := os.WriteFile(filepath.Join(found[0], "go"), nil, 0o600); err != nil {
		t.Error(err)
	}
}

func TestLostWorker(t *testing.T) {
	for _, c := range []struct {
		onLoss  job.WorkerLoss
		status  job.Status
		reason  job.Reason
		history string
	}{
		{job.Rerun, job.Completed, job.ReasonNone, "Begin Started Finish"},
		{job.Fail, job.Failed, job.ReasonWorkerLost, "Begin Finish"},
	} {
		b := newBench(t, "exit 0")
		b.store.job.Status, b.store.open, b.store.job.Attempt, b.store.job.Spec.OnLoss = job.Running, true, 1, c.onLoss
		if _, err := b.execute(); err != nil {
			t.Fatal(err)
		}
		b.check(c.status, c.reason, c.history)
	}
}

// A job that must not run twice does not, even when the answer that tells of the lost worker is lost too.
func TestLostWorkerWhoseLossIsToldTwice(t *testing.T) {
	b := newBench(t, "echo ran")
	b.store.job.Status, b.store.open, b.store.job.Attempt, b.store.job.Spec.OnLoss = job.Running, true, 1, job.Fail
	b.store.failLate["Begin"] = 1
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Failed, job.ReasonWorkerLost, "Begin Finish")
	if strings.Contains(b.log(), "ran") {
		t.Error("the program ran again")
	}
}

func TestSecondAttemptAfterAFailureIsNotTakenForLost(t *testing.T) {
	b := newBench(t, "exit 0")
	b.store.job.Attempt, b.store.job.Failures, b.store.job.Spec.OnLoss = 1, 1, job.Fail
	b.store.failLate["Begin"] = 1
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
}

const untilTerm = "trap 'echo bye; exit 0' TERM; echo running; while :; do sleep 0.02; done"

func TestCancel(t *testing.T) {
	b := newBench(t, untilTerm)
	b.when("running", func() { b.end(temporal.NewCanceledError()) })
	result, err := b.execute()
	if err != nil || result.Status != job.Cancelled || result.Reason != job.ReasonStopped || result.ReturnCode != nil {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Cancelled, job.ReasonStopped, "Begin Started Cancelling Finish")
	if text := b.log(); !strings.Contains(text, "bye\n") || !strings.Contains(text, "waybill: a stop was requested") {
		t.Errorf("log %q", text)
	}
}

func TestCancelBeforeTheProgramStarts(t *testing.T) {
	b := newBench(t, "echo ran")
	b.objects.fail["blobs/"] = 1 << 30
	b.end(temporal.NewCanceledError())
	result, err := b.execute()
	if err != nil || result.Status != job.Cancelled {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Cancelled, job.ReasonStopped, "Begin Cancelling Finish")
}

func TestTimeout(t *testing.T) {
	b := newBench(t, untilTerm)
	b.in.Timeout = 50 * time.Millisecond
	result, err := b.execute()
	if err != nil || result.Status != job.Failed || result.Reason != job.ReasonTimeout {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Failed, job.ReasonTimeout, "Begin Started Cancelling Finish")
	if b.store.get().Message != "The job took longer than its timeout of 50ms" {
		t.Error(b.store.get().Message)
	}
}

func TestWorkerStop(t *testing.T) {
	for _, c := range []struct {
		name   string
		onLoss job.WorkerLoss
		drain  time.Duration
	}{
		{"after its drain time", job.Rerun, time.Millisecond},
		{"at once", job.Rerun, 0},
		{"when the worker ends before that", job.Rerun, time.Hour},
		{"a job that must not run twice", job.Fail, time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, untilTerm)
			b.cfg.Drain = c.drain
			b.store.job.Spec.OnLoss = c.onLoss
			b.when("running", func() {
				close(b.stop)
				if c.drain == time.Hour {
					b.end(worker.ErrWorkerShutdown)
				}
			})
			_, err := b.execute()
			if c.onLoss == job.Fail {
				if err != nil {
					t.Fatal(err)
				}
				b.check(job.Failed, job.ReasonWorkerLost, "Begin Started Finish")
				return
			}
			if typ, final := typeOf(err); typ != errInterruptedType || final {
				t.Errorf("got %v", err)
			}
			b.check(job.Running, job.ReasonNone, "Begin Started")
		})
	}
}

func TestAJobThatEndsWithinTheDrainTimeIsNotDisturbed(t *testing.T) {
	b := newBench(t, "echo running; sleep 0.3; echo done")
	b.cfg.Drain = time.Minute
	b.when("running", func() { close(b.stop) })
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
}

func TestGone(t *testing.T) {
	b := newBench(t, "trap '' TERM; echo running; while :; do sleep 0.02; done")
	b.when("running", func() { b.end(serviceerror.NewNotFound("workflow is gone")) })
	if _, err := b.execute(); err == nil {
		t.Error("no error")
	}
	b.check(job.Running, job.ReasonNone, "Begin Started")
	if len(b.gone.checked) != 1 || b.gone.checked[0] != jobID {
		t.Errorf("the reconciler was asked about %v", b.gone.checked)
	}
}

func TestHeartbeatsThatDoNotGetThroughEndNothingAtOnce(t *testing.T) {
	away := serviceerror.NewUnavailable("engine restarts")
	cases := []struct {
		name   string
		later  error // what the engine answers when it is back
		script string
		status job.Status
	}{
		{"engine comes back", nil, "echo running; sleep 0.3; echo done", job.Completed},
		{"a cancel is found then", temporal.NewCanceledError(), untilTerm, job.Cancelled},
		{"the attempt is unknown then", serviceerror.NewNotFound("timed out"), untilTerm, job.Running},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.script)
			b.engine.set(away)
			b.when("running", func() {
				b.end(away)
				for _, beats := b.engine.counts(); beats < 3; _, beats = b.engine.counts() {
					time.Sleep(time.Millisecond)
				}
				b.engine.set(c.later)
			})
			_, _ = b.execute()
			if j := b.store.get(); j.Status != c.status {
				t.Errorf("job is %s (%s)", j.Status, j.Message)
			}
		})
	}
}

func TestDatabaseAndStoreMayBeAwayForAWhile(t *testing.T) {
	b := newBench(t, "echo hello; echo x >\"$LOCAL_JOB_OUT_DIR/x\"")
	for _, method := range []string{"Begin", "Started", "Finish"} {
		b.store.fail[method], b.store.failLate[method] = 2, 1
	}
	b.store.failLate["Started"] = 0 // repeating it is harmless in the real store
	b.objects.fail["blobs/"], b.objects.fail["/log/"], b.objects.fail["/out/"] = 2, 2, 2
	result, err := b.execute()
	if err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
	if b.log() != "hello\n" || len(b.store.outputs) != 1 {
		t.Errorf("log %q, outputs %v", b.log(), b.store.outputs)
	}
}

func TestPatienceEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*bench)
	}{
		{"database", func(b *bench) { b.store.fail["Finish"] = 1 << 30 }},
		{"packages", func(b *bench) { b.objects.fail["blobs/"] = 1 << 30 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "exit 0")
			b.cfg.Patience, b.cfg.ObjectPatience = 100*time.Millisecond, 100*time.Millisecond
			c.change(b)
			_, err := b.execute()
			if typ, final := typeOf(err); typ != string(job.Unavailable) || final {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("packages, and the job must not run twice", func(t *testing.T) {
		b := newBench(t, "exit 0")
		b.cfg.Patience, b.cfg.ObjectPatience, b.store.job.Spec.OnLoss = 100*time.Millisecond, 100*time.Millisecond, job.Fail
		b.objects.fail["blobs/"] = 1 << 30
		if _, err := b.execute(); err != nil {
			t.Fatal(err)
		}
		b.check(job.Failed, job.ReasonError, "Begin Finish")
	})
}

func TestLongProgramTellsItsWorkflow(t *testing.T) {
	b := newBench(t, "echo running; while [ ! -e \"$LOCAL_JOB_SPEC_DIR/../tmp/never\" ]; do sleep 0.02; done")
	b.cfg.NoteStarted = time.Millisecond
	go func() {
		for signals, _ := b.engine.counts(); signals == 0; signals, _ = b.engine.counts() {
			time.Sleep(time.Millisecond)
		}
		b.end(temporal.NewCanceledError())
	}()
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	if len(b.engine.signals) != 1 || b.engine.signals[0] != "started {worker-1 1}" {
		t.Errorf("signals %v", b.engine.signals)
	}
}

// A reset run may take over the activity of the run before it, input and all: its attempts then begin at 1 again.
func TestResetRunTakesTheJobOver(t *testing.T) {
	b := newBench(t, "echo ran")
	b.store.job.Fence, b.store.job.Status, b.store.job.Attempt, b.store.open = job.Fence(runStarted, 3), job.Running, 3, true
	b.in.RunID = "the-run-before"
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
	// A slow attempt of the run before is fenced off, and so is a late one.
	if b.store.job.Fence <= job.SettleFence(runStarted) {
		t.Errorf("fence %d", b.store.job.Fence)
	}
}

func TestSecondAttemptGoesOnWithTheLog(t *testing.T) {
	b := newBench(t, "echo attempt $WAYBILL_ATTEMPT")
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	b.store.job.Status = job.Queued
	b.in.RunStarted = runStarted.Add(time.Second)
	if _, err := b.execute(); err != nil {
		t.Fatal(err)
	}
	if b.log() != "attempt 1\nwaybill: attempt 2 begins on worker-1\nattempt 2\n" {
		t.Errorf("log %q", b.log())
	}
}

func TestSettleAndRollUp(t *testing.T) {
	b := newBench(t, "exit 0")
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	New(b.cfg).Register(env)
	value, err := env.ExecuteActivity(contract.SettleJob, contract.SettleInput{
		JobID: jobID, AccountID: account, RunStarted: runStarted, Status: job.Failed, Reason: job.ReasonWorkerLost, Message: "lost",
	})
	var result contract.JobResult
	if err != nil || value.Get(&result) != nil || result.Status != job.Failed || result.Reason != job.ReasonWorkerLost {
		t.Errorf("got %+v %v", result, err)
	}
	if b.store.job.Fence != job.SettleFence(runStarted) || b.store.settled.At.IsZero() || b.bell.rings != 1 {
		t.Errorf("settled %+v with %d", b.store.settled, b.store.job.Fence)
	}
	_, err = env.ExecuteActivity(contract.SettleJob, contract.SettleInput{JobID: "none"})
	if typ, final := typeOf(err); typ != string(job.NotFound) || !final {
		t.Errorf("got %v", err)
	}
	if _, err := env.ExecuteActivity(contract.RollUpRetry, contract.RollUpInput{JobID: jobID, AccountID: account}); err != nil || b.store.rolledUp != jobID {
		t.Errorf("rolled up %q %v", b.store.rolledUp, err)
	}
	b.store.fail["RollUp"] = 1
	_, err = env.ExecuteActivity(contract.RollUpRetry, contract.RollUpInput{JobID: jobID})
	if typ, final := typeOf(err); typ != string(job.Internal) || final || strings.Contains(err.Error(), "db-host") {
		t.Errorf("got %v", err)
	}
}

// The activities fit the registry of a real worker.
var _ Registry = worker.Worker(nil)
