package storagetest

import (
	"fmt"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// raised is an error of a record as a program reports it.
func raised(record, step string) job.RecordError {
	return job.RecordError{
		RecordID: record, Step: step, Code: "422", Message: "Länge of " + record + " is wrong", TraceKey: "trace-" + record,
		OccurredAt: at(103), Data: []byte(`{"id":"` + record + `"}`),
	}
}

func (n *tenant) report(t *testing.T, id job.ID, fence int64, r job.Report) {
	t.Helper()
	if r.At.IsZero() {
		r.At = at(104)
	}
	if err := n.Report(t.Context(), n.account.ID, id, fence, r); err != nil {
		t.Fatalf("Report: %v", err)
	}
}

// raising runs a job that raises errors of the records in step "load", up to its end.
func (n *tenant) raising(t *testing.T, o job.Outcome, records []string, change ...func(*job.Job)) job.Job {
	t.Helper()
	return n.raise(t, n.submit(t, change...), o, records)
}

func (n *tenant) raise(t *testing.T, j job.Job, o job.Outcome, records []string) job.Job {
	t.Helper()
	ctx := t.Context()
	if _, _, err := n.Begin(ctx, n.account.ID, j.ID, 1, "worker-1", at(100)); err != nil {
		t.Fatalf("Begin: %v", err)
	}
	if err := n.Started(ctx, n.account.ID, j.ID, 1, "", at(101)); err != nil {
		t.Fatalf("Started: %v", err)
	}
	r := job.Report{Steps: []job.Step{{
		Name: "load", Status: job.Running, StartedAt: at(102), RecordsRead: 100, RecordsWritten: 100 - int64(len(records)), RecordsFailed: int64(len(records)),
	}}}
	for _, record := range records {
		r.Errors = append(r.Errors, raised(record, "load"))
	}
	n.report(t, j.ID, 1, r)
	j, err := n.Finish(ctx, n.account.ID, j.ID, 1, o)
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	n.holds(t, j.ID)
	return j
}

// again submits a retry of records.
func (n *tenant) again(t *testing.T, parent job.ID, records ...string) job.Job {
	t.Helper()
	j := n.newJob()
	j.RetryOf, j.RetryScope = parent, job.RetryFailedRecords
	stored, _, err := n.Submit(t.Context(), control.Submission{Job: j, Records: records})
	if err != nil {
		t.Fatalf("Submit: %v", err)
	}
	return stored
}

func (n *tenant) rollUp(t *testing.T, child job.ID) {
	t.Helper()
	if err := n.RollUp(t.Context(), n.account.ID, child, at(300)); err != nil {
		t.Fatalf("RollUp: %v", err)
	}
}

func (n *tenant) errors(t *testing.T, id job.ID) []job.RecordError {
	t.Helper()
	list, err := n.Errors(t.Context(), n.account.ID, id, job.Query{Size: 1000})
	if err != nil {
		t.Fatalf("Errors: %v", err)
	}
	return list.Items
}

// told shows the errors of a job as "id:how", in their order.
func (n *tenant) told(t *testing.T, id job.ID) string {
	t.Helper()
	var words []string
	for _, e := range n.errors(t, id) {
		how := string(e.Resolved)
		if how == "" {
			how = "open"
		}
		words = append(words, e.RecordID+":"+how)
	}
	return strings.Join(words, " ")
}

// holds checks that a job's counters are the sums over its steps and the number of its errors.
func (n *tenant) holds(t *testing.T, id job.ID) {
	t.Helper()
	j := n.now(t, id)
	var sum job.Job
	var open, resolved int64
	for _, s := range n.steps(t, id) {
		sum.Records.Read += s.RecordsRead
		sum.Records.Written += s.RecordsWritten
		sum.Records.Failed += s.RecordsFailed
		sum.Records.Ignored += s.RecordsIgnored
		sum.ErrorsOpen += s.ErrorsOpen
		sum.ErrorsResolved += s.ErrorsResolved
	}
	for _, e := range n.errors(t, id) {
		if e.Resolved == job.ErrorOpen {
			open++
		} else {
			resolved++
		}
	}
	if j.Records != sum.Records || j.ErrorsOpen != sum.ErrorsOpen || j.ErrorsResolved != sum.ErrorsResolved {
		t.Errorf("job %s counts %+v, %d open, %d resolved; its steps sum up to %+v, %d, %d", id, j.Records, j.ErrorsOpen, j.ErrorsResolved,
			sum.Records, sum.ErrorsOpen, sum.ErrorsResolved)
	}
	if j.ErrorsOpen != open || j.ErrorsResolved != resolved {
		t.Errorf("job %s counts %d open, %d resolved errors; it has %d and %d", id, j.ErrorsOpen, j.ErrorsResolved, open, resolved)
	}
}

var recordCases = map[string]func(*testing.T, *tenant){
	"a report is kept, and storing it twice changes nothing": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		if err := n.Started(t.Context(), n.account.ID, j.ID, 1, "", at(101)); err != nil {
			t.Fatal(err)
		}
		r := job.Report{
			Steps: []job.Step{
				{Index: 0, Name: "extract", Status: job.Completed, StartedAt: at(102), FinishedAt: at(103), ReturnCode: exit(0), RecordsRead: 100, RecordsIgnored: 2},
				{Index: 1, Name: "load", Status: job.Running, StartedAt: at(103), RecordsWritten: 93, RecordsFailed: 7, Message: "on it"},
			},
			Errors:   []job.RecordError{raised("r1", "load"), raised("r2", "load"), raised("r0", "extract")},
			Progress: &job.Progress{Step: "load", Done: 93, Total: 100}, Warnings: []string{"event_not_understood: line 3"},
		}
		for range 2 {
			n.report(t, j.ID, 1, r)
			n.holds(t, j.ID)
			got := n.now(t, j.ID)
			same(t, "records", got.Records, job.Records{Read: 100, Written: 93, Failed: 7, Ignored: 2})
			same(t, "open", got.ErrorsOpen, int64(3))
			same(t, "warnings", got.Warnings, []string{"event_not_understood: line 3"})
		}
		steps := n.steps(t, j.ID)
		r.Steps[0].Attempt, r.Steps[1].Attempt, r.Steps[0].ErrorsOpen, r.Steps[1].ErrorsOpen = 1, 1, 1, 2
		same(t, "steps", steps, r.Steps)
		want := raised("r1", "load")
		want.JobID, want.Attempt, want.HasData, want.Data = j.ID, 1, true, nil
		same(t, "error", n.errors(t, j.ID)[1], want)
		d, err := n.ErrorData(t.Context(), n.account.ID, j.ID, "r1")
		if err != nil || string(d.Data) != `{"id":"r1"}` || d.Rev != 1 {
			t.Errorf("data = %s, %d, %v", d.Data, d.Rev, err)
		}
	},
	"the job's end closes the steps that are open": func(t *testing.T, n *tenant) {
		j := n.raising(t, failed(), []string{"a"})
		steps := n.steps(t, j.ID)
		if len(steps) != 1 || steps[0].Status != job.Failed || *steps[0].ReturnCode != 3 || steps[0].RecordsRead != 100 {
			t.Errorf("steps = %+v", steps)
		}
	},
	"a record raised again in an attempt is one error": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		first, second := raised("a", "load"), raised("a", "load")
		second.Message, second.Data = "later", []byte(`{"v":2}`)
		step := []job.Step{{Name: "load", Status: job.Running, StartedAt: at(102)}}
		n.report(t, j.ID, 1, job.Report{Steps: step, Errors: []job.RecordError{first, second}})
		n.report(t, j.ID, 1, job.Report{Errors: []job.RecordError{second}})
		got := n.errors(t, j.ID)
		if len(got) != 1 || got[0].Message != "later" {
			t.Errorf("errors = %+v", got)
		}
		n.holds(t, j.ID)
	},
	"a stale fence reports nothing": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		if _, _, err := n.Begin(t.Context(), n.account.ID, j.ID, 5, "worker-2", at(130)); err != nil {
			t.Fatal(err)
		}
		err := n.Report(t.Context(), n.account.ID, j.ID, 1, job.Report{Errors: []job.RecordError{raised("a", "main")}, At: at(131)})
		refused(t, err, job.Conflict, job.WordStale)
		same(t, "errors", len(n.errors(t, j.ID)), 0)
		final := n.ended(t, completed())
		refused(t, n.Report(t.Context(), n.account.ID, final.ID, 1, job.Report{At: at(131)}), job.Conflict, job.WordStale)
		absent(t, n.Report(t.Context(), n.other(t).account.ID, j.ID, 5, job.Report{At: at(131)}))
	},
	"a new attempt begins with nothing counted": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		ctx := t.Context()
		if err := n.Started(ctx, n.account.ID, j.ID, 1, "", at(101)); err != nil {
			t.Fatal(err)
		}
		n.report(t, j.ID, 1, job.Report{
			Steps:  []job.Step{{Name: "load", Status: job.Running, RecordsRead: 50}, {Index: 1, Name: "more", Status: job.Running}},
			Errors: []job.RecordError{raised("a", "load"), raised("b", "more")}, Warnings: []string{"event_limit: x"},
		})
		if err := n.Again(ctx, n.account.ID, j.ID, 1, failed(), at(110)); err != nil {
			t.Fatal(err)
		}
		n.holds(t, j.ID)
		same(t, "kept until the program starts again", n.now(t, j.ID).ErrorsOpen, int64(2))
		if _, _, err := n.Begin(ctx, n.account.ID, j.ID, 2, "worker-1", at(111)); err != nil {
			t.Fatal(err)
		}
		if err := n.Started(ctx, n.account.ID, j.ID, 2, "", at(112)); err != nil {
			t.Fatal(err)
		}
		got := n.now(t, j.ID)
		if got.Records != (job.Records{}) || got.ErrorsOpen != 0 || got.Warnings != nil {
			t.Errorf("job = %+v", got)
		}
		same(t, "steps", n.steps(t, j.ID), []job.Step{{Name: "main", Status: job.Running, Attempt: 2, StartedAt: at(112)}})
		_, err := n.ErrorData(ctx, n.account.ID, j.ID, "a")
		absent(t, err)
		n.report(t, j.ID, 2, job.Report{
			Steps: []job.Step{{Name: "load", Status: job.Running, RecordsRead: 100}}, Errors: []job.RecordError{raised("a", "load")},
		})
		same(t, "records", n.now(t, j.ID).Records.Read, int64(100))
		n.holds(t, j.ID)
	},
	"errors are listed by pages in the order of raising": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		r := job.Report{Steps: []job.Step{{Name: "load", Status: job.Running}}}
		for i := range 250 {
			e := raised(fmt.Sprintf("r%03d", 249-i), "load")
			e.OccurredAt = at(i)
			r.Errors = append(r.Errors, e)
		}
		n.report(t, j.ID, 1, r)
		n.holds(t, j.ID)
		q := job.Query{Size: 100, Keyset: true}
		var seen []string
		for {
			list, err := n.Errors(t.Context(), n.account.ID, j.ID, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list.Items {
				seen = append(seen, e.RecordID)
			}
			if !list.More {
				break
			}
			q.After = list.Next
		}
		if len(seen) != 250 || seen[0] != "r249" || seen[249] != "r000" {
			t.Errorf("%d seen, %v", len(seen), seen)
		}
		if _, err := n.ResolveErrors(t.Context(), n.account.ID, j.ID, []string{"r001", "r002"}, n.admin.Ref(), at(150)); err != nil {
			t.Fatal(err)
		}
		list, err := n.Errors(t.Context(), n.account.ID, j.ID, job.Query{Size: 10, Where: job.And{
			job.Compare{Property: "resolved", Op: job.Eq, Values: []any{true}}, job.Compare{Property: "message", Op: job.Like, Values: []any{"LÄNGE OF R001"}},
		}})
		if err != nil || list.Total != 1 || list.Items[0].RecordID != "r001" {
			t.Errorf("%+v, %v", list, err)
		}
	},
	"a user resolves errors once, all or none": func(t *testing.T, n *tenant) {
		j, ctx := n.raising(t, failed(), []string{"a", "b", "c"}), t.Context()
		_, err := n.ResolveErrors(ctx, n.account.ID, j.ID, []string{"a", "x"}, n.admin.Ref(), at(150))
		refused(t, err, job.Invalid, job.WordUnknownRecord)
		same(t, "errors", n.told(t, j.ID), "a:open b:open c:open")
		for _, want := range []int64{2, 0} {
			resolved, err := n.ResolveErrors(ctx, n.account.ID, j.ID, []string{"a", "b", "a"}, n.admin.Ref(), at(150))
			if err != nil || resolved != want {
				t.Errorf("resolved %d, %v, want %d", resolved, err, want)
			}
			n.holds(t, j.ID)
		}
		got := n.errors(t, j.ID)[0]
		if got.ResolvedBy != n.admin.Ref() || !got.ResolvedAt.Equal(at(150)) || got.Resolved != job.ResolvedByUser {
			t.Errorf("error = %+v", got)
		}
		same(t, "change", n.now(t, j.ID).Change, j.Change+1)
		if resolved, err := n.ResolveErrors(ctx, n.account.ID, j.ID, nil, n.admin.Ref(), at(151)); err != nil || resolved != 1 {
			t.Errorf("resolved %d, %v", resolved, err)
		}
		n.holds(t, j.ID)
	},
	"a record is replaced for the next retry": func(t *testing.T, n *tenant) {
		j, ctx := n.raising(t, failed(), []string{"a", "b"}), t.Context()
		d, err := n.SetErrorData(ctx, n.account.ID, j.ID, "a", []byte(`{"fixed":true}`), at(150))
		if err != nil || d.Rev != 2 {
			t.Fatalf("%+v, %v", d, err)
		}
		if d, err = n.ErrorData(ctx, n.account.ID, j.ID, "a"); err != nil || d.Rev != 2 || string(d.Data) != `{"fixed":true}` {
			t.Errorf("%s, %d, %v", d.Data, d.Rev, err)
		}
		retry := n.again(t, j.ID)
		for _, limit := range []int{1, 100} {
			var got []job.RetryRecord
			after := ""
			for {
				page, err := n.RetryRecords(ctx, n.account.ID, retry.ID, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				got, after = append(got, page...), page[len(page)-1].RecordID
			}
			same(t, "records", got, []job.RetryRecord{
				{RecordID: "a", Step: "load", TraceKey: "trace-a", Data: []byte(`{"fixed":true}`)},
				{RecordID: "b", Step: "load", TraceKey: "trace-b", Data: []byte(`{"id":"b"}`)},
			})
		}
		same(t, "retry job", n.errors(t, j.ID)[0].RetryJob, retry.ID)
		_, err = n.SetErrorData(ctx, n.account.ID, j.ID, "a", []byte(`{"fixed":"meanwhile"}`), at(150))
		refused(t, err, job.Conflict, job.WordRetryActive) // attempts of one retry send one thing
		n.leave(t, retry.ID)
		if d, err = n.SetErrorData(ctx, n.account.ID, j.ID, "a", []byte(`{"fixed":"again"}`), at(150)); err != nil || d.Rev != 3 {
			t.Errorf("after the retry: %+v, %v", d, err)
		}
		_, err = n.SetErrorData(ctx, n.account.ID, j.ID, "x", []byte(`1`), at(150))
		absent(t, err)
		if _, err := n.ResolveErrors(ctx, n.account.ID, j.ID, []string{"b"}, n.admin.Ref(), at(151)); err != nil {
			t.Fatal(err)
		}
		_, err = n.SetErrorData(ctx, n.account.ID, j.ID, "b", []byte(`1`), at(152))
		refused(t, err, job.Conflict, job.WordRecordResolved)
	},
	"an error may come without data and get some": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		e := raised("a", "load")
		e.Data = nil
		n.report(t, j.ID, 1, job.Report{Steps: []job.Step{{Name: "load", Status: job.Running}}, Errors: []job.RecordError{e}})
		same(t, "has data", n.errors(t, j.ID)[0].HasData, false)
		_, err := n.ErrorData(t.Context(), n.account.ID, j.ID, "a")
		absent(t, err)
		if d, err := n.SetErrorData(t.Context(), n.account.ID, j.ID, "a", []byte(`[]`), at(150)); err != nil || d.Rev != 1 {
			t.Errorf("%+v, %v", d, err)
		}
		same(t, "has data", n.errors(t, j.ID)[0].HasData, true)
	},
	"another account sees and changes nothing": func(t *testing.T, n *tenant) {
		j, ctx, other := n.raising(t, failed(), []string{"a"}), t.Context(), n.other(t).account.ID
		_, err := n.Errors(ctx, other, j.ID, job.Query{Size: 10})
		absent(t, err)
		_, err = n.ErrorData(ctx, other, j.ID, "a")
		absent(t, err)
		_, err = n.SetErrorData(ctx, other, j.ID, "a", []byte(`1`), at(150))
		absent(t, err)
		_, err = n.ResolveErrors(ctx, other, j.ID, nil, n.admin.Ref(), at(150))
		absent(t, err)
		retry := n.again(t, j.ID)
		if page, err := n.RetryRecords(ctx, other, retry.ID, "", 10); err != nil || len(page) != 0 {
			t.Errorf("%v, %v", page, err)
		}
		if states, err := n.RetryStates(ctx, other, []job.ID{j.ID}); err != nil || len(states) != 0 {
			t.Errorf("%v, %v", states, err)
		}
		same(t, "errors", n.told(t, j.ID), "a:open")
	},
	"texts that can not be stored are mended in reports and refused from users": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		e := raised("a\x00b", "load\xff")
		e.Message, e.Code, e.TraceKey = "m\x00", "c\xfe", "t\x00"
		n.report(t, j.ID, 1, job.Report{Steps: []job.Step{{Name: "load\xff", Status: job.Running}}, Errors: []job.RecordError{e}, Warnings: []string{"w\x00"}})
		n.holds(t, j.ID)
		same(t, "open", n.now(t, j.ID).ErrorsOpen, int64(1))
		_, err := n.ErrorData(t.Context(), n.account.ID, j.ID, "a\x00b")
		absent(t, err)
		_, err = n.ResolveErrors(t.Context(), n.account.ID, j.ID, []string{"\x00"}, n.admin.Ref(), at(150))
		refused(t, err, job.Invalid, job.WordUnknownRecord)
	},
}
