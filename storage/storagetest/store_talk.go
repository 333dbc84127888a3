package storagetest

import (
	"encoding/json"
	"strings"
	"testing"

	"waybill/internal/job"
)

func message(name, body string, properties ...string) job.Message {
	m := job.Message{Name: name, Body: body}
	for i := 0; i+1 < len(properties); i += 2 {
		m.Properties = append(m.Properties, job.MessageProperty{Key: properties[i], Value: properties[i+1]})
	}
	return m
}

func value(name, text string) job.OutValue {
	return job.OutValue{Name: name, Value: json.RawMessage(text)}
}

// restarted gives a running job to a second attempt.
func (n *tenant) restarted(t *testing.T, id job.ID) {
	t.Helper()
	if _, _, err := n.Begin(t.Context(), n.account.ID, id, 2, "worker-2", at(120)); err != nil {
		t.Fatalf("Begin: %v", err)
	}
	if err := n.Started(t.Context(), n.account.ID, id, 2, "", at(121)); err != nil {
		t.Fatalf("Started: %v", err)
	}
}

var talkCases = map[string]func(*testing.T, *tenant){
	"of messages and values of a name the last is kept": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		first := job.Report{
			Messages: []job.Message{message("reply", "first", "k", "v"), message("Über", "ü")}, Values: []job.OutValue{value("rows", "1"), value("a b", `{"x":[1,"é"]}`)},
		}
		for range 2 {
			n.report(t, j.ID, 1, first)
		}
		n.report(t, j.ID, 1, job.Report{Messages: []job.Message{message("reply", "second")}, Values: []job.OutValue{value("rows", "2")}, At: at(105)})
		got := n.now(t, j.ID)
		reply := job.OutMessage{Message: message("reply", ""), Size: 6, ToldAt: at(105)}
		same(t, "in short", got.OutMessages, []job.OutMessage{reply, {Message: message("Über", ""), Size: 2, ToldAt: at(104)}})
		same(t, "values", got.OutValues, []job.OutValue{value("a b", `{"x":[1,"é"]}`), value("rows", "2")})
		list, err := n.OutMessages(t.Context(), n.account.ID, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "list", list, got.OutMessages)
		reply.Body = "second"
		full, err := n.OutMessage(t.Context(), n.account.ID, j.ID, "reply")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "message", full, reply)
	},
	"a message may be as large as one can be": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		body := strings.Repeat("é\"\n", job.MaxMessageBody/4)
		n.report(t, j.ID, 1, job.Report{Messages: []job.Message{message("big", body, "key", strings.Repeat("v", job.MaxPropertyValue))}})
		got, err := n.OutMessage(t.Context(), n.account.ID, j.ID, "big")
		if err != nil || got.Body != body || got.Size != int64(len(body)) || len(got.Properties[0].Value) != job.MaxPropertyValue {
			t.Errorf("%d bytes, %v", len(got.Body), err)
		}
	},
	"messages of other accounts and of unknown names are absent": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		n.report(t, j.ID, 1, job.Report{Messages: []job.Message{message("reply", "x")}, FilesSeen: true, Files: []job.Output{{Name: "a", CreatedAt: at(1)}}})
		for _, name := range []string{"none", "", "Reply", "\xff", "a\x00b"} {
			_, err := n.OutMessage(t.Context(), n.account.ID, j.ID, name)
			absent(t, err)
		}
		other := n.other(t).account.ID
		_, err := n.OutMessage(t.Context(), other, j.ID, "reply")
		absent(t, err)
		_, err = n.OutMessages(t.Context(), other, j.ID)
		absent(t, err)
		files, err := n.FilesNow(t.Context(), other, j.ID)
		if err != nil || len(files) != 0 {
			t.Errorf("files of another account: %v, %v", files, err)
		}
		for _, id := range []job.ID{"none", newID()} {
			_, err = n.OutMessage(t.Context(), n.account.ID, id, "reply")
			absent(t, err)
		}
	},
	"a new attempt begins without what the last one gave": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		if err := n.Started(t.Context(), n.account.ID, j.ID, 1, "", at(101)); err != nil {
			t.Fatal(err)
		}
		n.report(t, j.ID, 1, job.Report{
			Messages: []job.Message{message("reply", "x")}, Values: []job.OutValue{value("rows", "1")}, FilesSeen: true, Files: []job.Output{{Name: "a", CreatedAt: at(1)}},
		})
		n.restarted(t, j.ID)
		got := n.now(t, j.ID)
		if got.OutMessages != nil || got.OutValues != nil {
			t.Errorf("job = %+v", got)
		}
		files, err := n.FilesNow(t.Context(), n.account.ID, j.ID)
		if err != nil || len(files) != 0 {
			t.Errorf("files = %v, %v", files, err)
		}
		n.report(t, j.ID, 2, job.Report{Values: []job.OutValue{value("rows", "7")}, At: at(122)})
		same(t, "values", n.now(t, j.ID).OutValues, []job.OutValue{value("rows", "7")})
		err = n.Report(t.Context(), n.account.ID, j.ID, 1, job.Report{Values: []job.OutValue{value("rows", "8")}, At: at(123)})
		refused(t, err, job.Conflict, job.WordStale)
		same(t, "values after a stale report", n.now(t, j.ID).OutValues, []job.OutValue{value("rows", "7")})
	},
	"the files of a running job are listed as they were seen last": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		for _, size := range []int64{1, 20} {
			want := []job.Output{{Name: "a/b.csv", Size: size, CreatedAt: at(103)}, {Name: "ü", Size: 0, CreatedAt: at(104)}}
			n.report(t, j.ID, 1, job.Report{FilesSeen: true, Files: want})
			n.report(t, j.ID, 1, job.Report{Values: []job.OutValue{value("x", "1")}})
			got, err := n.FilesNow(t.Context(), n.account.ID, j.ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "files", got, want)
		}
		n.report(t, j.ID, 1, job.Report{FilesSeen: true})
		if got, err := n.FilesNow(t.Context(), n.account.ID, j.ID); err != nil || len(got) != 0 {
			t.Errorf("after they were removed: %v, %v", got, err)
		}
	},
	"what a job gave stays at its end, but for the list of its growing files": func(t *testing.T, n *tenant) {
		for name, end := range map[string]func(*tenant, job.ID) error{
			"finished": func(n *tenant, id job.ID) error {
				_, err := n.Finish(t.Context(), n.account.ID, id, 1, completed())
				return err
			},
			"settled": func(n *tenant, id job.ID) error {
				_, err := n.Settle(t.Context(), n.account.ID, id, 9, failed())
				return err
			},
		} {
			j := n.begun(t)
			n.report(t, j.ID, 1, job.Report{
				Messages: []job.Message{message("reply", "x")}, Values: []job.OutValue{value("rows", "1")}, FilesSeen: true, Files: []job.Output{{Name: "a", CreatedAt: at(1)}},
			})
			if err := end(n, j.ID); err != nil {
				t.Fatal(err)
			}
			got := n.now(t, j.ID)
			if len(got.OutMessages) != 1 || len(got.OutValues) != 1 {
				t.Errorf("%s: job = %+v", name, got)
			}
			if files, err := n.FilesNow(t.Context(), n.account.ID, j.ID); err != nil || len(files) != 0 {
				t.Errorf("%s: files = %v, %v", name, files, err)
			}
		}
	},
	"a running job tells the step that was begun last": func(t *testing.T, n *tenant) {
		j := n.begun(t)
		if err := n.Started(t.Context(), n.account.ID, j.ID, 1, "", at(101)); err != nil {
			t.Fatal(err)
		}
		same(t, "at first", n.now(t, j.ID).CurrentStep, "main")
		n.report(t, j.ID, 1, job.Report{Steps: []job.Step{
			{Name: "a", Status: job.Running, StartedAt: at(102)}, {Index: 1, Name: "b", Status: job.Running, StartedAt: at(103)},
		}})
		same(t, "step", n.now(t, j.ID).CurrentStep, "b")
		n.report(t, j.ID, 1, job.Report{Steps: []job.Step{{Index: 1, Name: "b", Status: job.Completed, StartedAt: at(103), FinishedAt: at(104)}}})
		same(t, "step after one ended", n.now(t, j.ID).CurrentStep, "a")
		if _, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, completed()); err != nil {
			t.Fatal(err)
		}
		same(t, "at the end", n.now(t, j.ID).CurrentStep, "")
	},
	"in messages come with the job, and not in lists": func(t *testing.T, n *tenant) {
		in := []job.Message{message("order", "{}", "k", "v"), message("other", strings.Repeat("x", 100_000))}
		j := n.submit(t, func(j *job.Job) { j.Spec.InMessages, j.Spec.OutMessageNames = in, []string{"reply"} })
		same(t, "submitted", j.Spec.InMessages, in)
		same(t, "read", n.now(t, j.ID).Spec.InMessages, in)
		begun, _, err := n.Begin(t.Context(), n.account.ID, j.ID, 1, "worker-1", at(100))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "begun", begun.Spec.InMessages, in)
		same(t, "names", begun.Spec.OutMessageNames, []string{"reply"})
		list, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope(), Size: 10})
		if err != nil || len(list.Items) != 1 || list.Items[0].Spec.InMessages != nil {
			t.Errorf("list = %+v, %v", list, err)
		}
	},
}
