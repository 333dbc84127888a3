package control_test

import (
	"fmt"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

func TestAJobGetsTheConfigsOtherFiles(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.runnable(w.admin, "orders")
	add := func(kind job.EntityType, id int64, key string, archive *job.Archive) {
		t.Helper()
		f := job.File{AccountID: c.AccountID, EntityType: kind, EntityID: id, Key: key, Size: 3, SHA256: strings.Repeat("ab", 32), CreatedAt: w.Now(), Archive: archive}
		if _, err := w.store.AddFile(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	add(job.EntityJobConfig, c.ID, "rates.csv", nil)
	add(job.EntityJobConfig, c.ID, "rates.csv", nil)
	add(job.EntityJobConfig, c.ID, "given.txt", nil)
	add(job.EntityJobConfig, c.ID, "old.djar", &job.Archive{})
	add(job.EntityAccount, c.AccountID, "dir/data.zip", &job.Archive{})
	if _, err := w.Files.Link(ctx, w.admin, control.OfConfig(c.ObjectID), control.FileOwner{Type: job.EntityAccount}, "dir/data.zip"); err != nil {
		t.Fatal(err)
	}
	submit := func() job.Job {
		t.Helper()
		s, err := w.jobs.Submit(ctx, w.admin, control.SubmitRequest{Config: c.ObjectID, Files: map[string]string{"given.txt": "by the start"}})
		if err != nil {
			t.Fatal(err)
		}
		return w.job(s.Job.ID)
	}
	shown := func(j job.Job) string {
		var out []string
		for _, f := range j.Spec.Inputs {
			out = append(out, fmt.Sprintf("%s@%d of %s", f.Name, f.Version, f.SourceType))
		}
		return strings.Join(out, ", ")
	}
	first := submit()
	if got := shown(first); got != "dir/data.zip@1 of ACCOUNT, rates.csv@2 of JOBCONFIG" {
		t.Errorf("got %s", got)
	}
	w.finish(first, failed())
	add(job.EntityJobConfig, c.ID, "rates.csv", nil)
	if got := shown(submit()); !strings.Contains(got, "rates.csv@3") {
		t.Errorf("the next job got %s", got)
	}
	s, err := w.jobs.Retry(ctx, w.admin, control.RetryRequest{Job: string(first.ID)})
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(w.job(s.Job.ID)); !strings.Contains(got, "rates.csv@2") {
		t.Errorf("a retry gets what its parent got, not %s", got)
	}

	add(job.EntityJobConfig, c.ID, "rates.csv/b", nil)
	_, err = w.jobs.Submit(ctx, w.admin, control.SubmitRequest{Config: c.ObjectID})
	want(t, err, job.Invalid, job.WordInvalidField)
	if err := w.store.DeleteFile(ctx, c.AccountID, job.EntityJobConfig, c.ID, "rates.csv/b"); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		add(job.EntityJobConfig, c.ID, fmt.Sprintf("many/%d", i), nil)
	}
	_, err = w.jobs.Submit(ctx, w.admin, control.SubmitRequest{Config: c.ObjectID})
	want(t, err, job.Invalid, job.WordInvalidField)
}
