package runner

import (
	"testing"
	"time"

	"waybill/internal/job"
)

func TestInputsLieBesideTheFilesOfTheStart(t *testing.T) {
	r := newRunner(t, nil)
	zip := pack(t, "x", "y")
	plain := func(name string, data []byte) Input {
		p := packageOf(name, data)
		p.Plain = true
		l, err := r.Cache().Use(t.Context(), p, fetchOf(data))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Release)
		return Input{Name: name, File: l}
	}
	l := lease(t, r, "run.sh", []byte(`cd "$LOCAL_JOB_SPEC_DIR" && cat a.csv dir/b.csv given.txt && cmp data.zip data.zip && head -c 2 data.zip && echo more >>a.csv && cat a.csv`))
	inputs := []Input{plain("a.csv", []byte("a\n")), plain("dir/b.csv", []byte("b\n")), plain("given.txt", []byte("of the config\n")), plain("data.zip", zip)}
	for range 2 { // what the first job does to its copies is nothing to the second
		log := &syncBuffer{}
		e, err := r.Prepare(Request{
			Job: job.Job{ID: jobID, Attempt: 1, Spec: job.Spec{Files: map[string]string{"given.txt": "of the start\n"}}}, Package: l, Inputs: inputs, Log: log,
			Grace: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := log.text(); got != "a\nb\nof the start\nPKa\nmore\n" {
			t.Errorf("the log is %q", got)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"../x", "/x", "."} {
		_, err := r.Prepare(Request{Job: job.Job{ID: jobID, Attempt: 1}, Package: l, Inputs: []Input{{Name: name, File: l}}, Log: &syncBuffer{}})
		if job.CodeOf(err) != job.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
