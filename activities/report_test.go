package activities

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

// told puts the reports of a bench together: the steps as they last stood, all errors, the last warnings.
func (b *bench) told() (steps []job.Step, raised []job.RecordError, warnings []string) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	for _, r := range b.store.reports {
		for _, s := range r.Steps {
			for len(steps) <= s.Index {
				steps = append(steps, job.Step{})
			}
			steps[s.Index] = s
		}
		raised = append(raised, r.Errors...)
		if r.Warnings != nil {
			warnings = r.Warnings
		}
	}
	return steps, raised, warnings
}

// release lets a program go on that waits for the file.
func (b *bench) release(t *testing.T) {
	if err := os.WriteFile(filepath.Join(b.work, "jobs", string(jobID)+"-1", "spec", "go"), nil, 0o600); err != nil {
		t.Error(err)
	}
}

func TestReportsAreStoredBeforeTheEnd(t *testing.T) {
	b := newBench(t, `
tell() { printf '%s\n' "$1" >>"$WAYBILL_EVENTS"; }
tell '{"type":"step","name":"extract","status":"started"}'
tell '{"type":"counters","read":100}'
tell '{"type":"step","name":"extract","status":"finished","returnCode":0}'
tell '{"type":"step","name":"load","status":"started"}'
tell '{"type":"error","recordId":7,"code":422,"message":"bad '"$TOKEN"'","data":{"id":7,"secret":"'"$TOKEN"'"}}'
tell 'what?'
printf '{"type":"counters","step":"load","written":99,"failed":1}' >>"$WAYBILL_EVENTS"
exit 3`)
	b.store.job.Spec.Macros = []job.Macro{{Key: "TOKEN", Sealed: "sealed:s3cret", Secure: true}}
	result, err := b.execute()
	if err != nil || result.Status != job.Failed {
		t.Fatalf("got %+v %v", result, err)
	}
	if last := b.store.history[len(b.store.history)-2:]; last[0] != "Report" || last[1] != "Finish" {
		t.Errorf("writes: %v", b.store.history)
	}
	steps, raised, warnings := b.told()
	if len(steps) != 2 || steps[0].Status != job.Completed || steps[0].RecordsRead != 100 || steps[1].RecordsWritten != 99 ||
		steps[1].RecordsFailed != 1 || steps[1].Status != job.Running {
		t.Errorf("steps %+v", steps)
	}
	if len(raised) != 1 || raised[0].RecordID != "7" || raised[0].Code != "422" || raised[0].Message != "bad ***" ||
		raised[0].Step != "load" || string(raised[0].Data) != `{"id":7,"secret":"s3cret"}` {
		t.Errorf("errors %+v, data %s", raised, raised[0].Data)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "event_not_understood: ") || !strings.HasSuffix(warnings[0], "(1 line, first line 6)") {
		t.Errorf("warnings %v", warnings)
	}
}

func TestReportsArriveWhileTheProgramRuns(t *testing.T) {
	b := newBench(t, `echo '{"type":"progress","done":1,"total":2}' >>"$WAYBILL_EVENTS"
until [ -e "$LOCAL_JOB_SPEC_DIR/go" ]; do sleep 0.02; done`)
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			b.store.mu.Lock()
			arrived := len(b.store.reports)
			b.store.mu.Unlock()
			if arrived > 0 {
				b.release(t)
				return
			}
		}
		t.Error("no report while the program ran")
		b.release(t)
	}()
	if result, err := b.execute(); err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	<-stop
	if p := b.store.reports[0].Progress; p == nil || *p != (job.Progress{Step: "main", Done: 1, Total: 2}) {
		t.Errorf("progress %+v", p)
	}
}

func TestAReportIsRepeatedUntilTheDatabaseIsBack(t *testing.T) {
	b := newBench(t, `echo '{"type":"error","recordId":"a","message":"no"}' >>"$WAYBILL_EVENTS"`)
	b.store.fail["Report"], b.store.failLate["Report"] = 2, 1
	if result, err := b.execute(); err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Report Report Finish") // the first answer was lost
}

func TestAReportOfAFencedAttemptEndsIt(t *testing.T) {
	b := newBench(t, `echo '{"type":"progress","done":1}' >>"$WAYBILL_EVENTS"`)
	b.store.onStarted = func() { b.store.job.Fence++ }
	_, err := b.execute()
	if kind, final := typeOf(err); kind != "Fenced" || !final {
		t.Errorf("got %v", err)
	}
	if len(b.store.reports) != 0 {
		t.Errorf("%d reports", len(b.store.reports))
	}
}

func TestManyErrorsAreStoredInParts(t *testing.T) {
	b := newBench(t, `i=0; while [ $i -lt 3000 ]; do echo "{\"type\":\"error\",\"recordId\":$i,\"message\":\"`+strings.Repeat("x", 500)+`\"}"; i=$((i+1)); done >>"$WAYBILL_EVENTS"`)
	if result, err := b.execute(); err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	_, raised, warnings := b.told()
	if len(raised) != 3000 || warnings != nil || len(b.store.reports) < 2 {
		t.Errorf("%d errors in %d reports, warnings %v", len(raised), len(b.store.reports), warnings)
	}
	for i, e := range raised {
		if e.RecordID != fmt.Sprint(i) || i > 0 && !e.OccurredAt.After(raised[i-1].OccurredAt) {
			t.Fatalf("error %d is %+v", i, e)
		}
	}
}

func TestARetryOfRecordsFindsThemInAFile(t *testing.T) {
	b := newBench(t, `cat "$WAYBILL_RETRY_FILE"; echo "step $WAYBILL_RETRY_STEP"`)
	b.store.job.RetryScope, b.store.job.Spec.RetryStep = job.RetryFailedRecords, "load"
	b.store.fail["RetryRecords"] = 1
	var want strings.Builder
	for i := range 250 {
		r := job.RetryRecord{RecordID: fmt.Sprintf("r%03d", i), Step: "load", TraceKey: "<t>", Data: []byte(`{"n":1}`)}
		b.store.records = append(b.store.records, r)
		fmt.Fprintf(&want, `{"recordId":"r%03d","step":"load","traceKey":"<t>","data":{"n":1}}`+"\n", i)
	}
	want.WriteString("step load\n")
	if result, err := b.execute(); err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	if b.log() != want.String() {
		t.Errorf("log %s", b.log())
	}
}

func TestOtherJobsHaveNoRetryFile(t *testing.T) {
	b := newBench(t, `echo "${WAYBILL_RETRY_FILE-none} ${WAYBILL_RETRY_STEP-none}"; test -f "$WAYBILL_EVENTS"`)
	if result, err := b.execute(); err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	if b.log() != "none none\n" {
		t.Errorf("log %s", b.log())
	}
	b.check(job.Completed, job.ReasonNone, "Begin Started Finish")
}

func TestMessagesValuesAndFilesAreTold(t *testing.T) {
	b := newBench(t, `
cat "$WAYBILL_IN_DIR/order"; cat "$WAYBILL_IN_FILE" | grep -c '"k":"v"'; echo "$WAYBILL_OUT_MESSAGES"
echo one >"$LOCAL_JOB_OUT_DIR/a.csv"
printf '<reply/>' >"$LOCAL_JOB_OUT_DIR/reply.xml"
tell() { printf '%s\n' "$1" >>"$WAYBILL_EVENTS"; }
tell '{"type":"message","name":"reply","bodyFile":"reply.xml","properties":{"type":"xml"}}'
tell '{"type":"output","name":"rows","value":"12 '"$TOKEN"'"}'
until [ -e "$LOCAL_JOB_SPEC_DIR/go" ]; do sleep 0.02; done`)
	b.store.job.Spec.Macros = []job.Macro{{Key: "TOKEN", Sealed: "sealed:s3cret", Secure: true}}
	b.store.job.Spec.InMessages = []job.Message{{Name: "order", Body: "the order\n", Properties: []job.MessageProperty{{Key: "k", Value: "v"}}}}
	b.store.job.Spec.OutMessageNames = []string{"reply", "missing"}
	sum := func() (messages []job.Message, values []job.OutValue, files []job.Output, warnings []string) {
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		for _, r := range b.store.reports {
			messages, values = append(messages, r.Messages...), append(values, r.Values...)
			if r.FilesSeen {
				files = r.Files
			}
			if r.Warnings != nil {
				warnings = r.Warnings
			}
		}
		return messages, values, files, warnings
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		defer b.release(t)
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			messages, values, files, _ := sum()
			if len(messages) == 1 && len(values) == 1 && len(files) == 2 {
				return
			}
		}
		t.Error("not told while the program ran")
	}()
	if result, err := b.execute(); err != nil || result.Status != job.Completed {
		t.Fatalf("got %+v %v", result, err)
	}
	<-stop
	if want := "the order\n1\n[\"reply\",\"missing\"]\n"; b.log() != want {
		t.Errorf("log %s, want %s", b.log(), want)
	}
	messages, values, files, warnings := sum()
	if m := messages[0]; m.Name != "reply" || m.Body != "<reply/>" || len(m.Properties) != 1 {
		t.Errorf("message %+v", m)
	}
	if string(values[0].Value) != `"12 ***"` {
		t.Errorf("value %s", values[0].Value)
	}
	if files[0].Name != "a.csv" || files[0].Size != 4 || files[0].Object != "" || files[1].Size != 8 {
		t.Errorf("files %+v", files)
	}
	if len(warnings) != 1 || warnings[0] != "out_message_missing: missing" {
		t.Errorf("warnings %v", warnings)
	}
}
