package native_test

import (
	"net/http/httptest"
	"testing"

	"waybill/internal/control/controltest"
	"waybill/internal/job"
)

func TestProgressIsWhatTheProgramTells(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	id := f.start(f.config("sample config", "run.sh"))
	fence := f.Take(t, 1, id)
	tell := func(r job.Report) {
		t.Helper()
		r.At = f.Now()
		if err := f.Store.Report(t.Context(), 1, id, fence, r); err != nil {
			t.Error(err)
		}
		f.Jobs.Bell.Ring(id)
	}
	stream := f.open(t, server, "/api/jobs/"+string(id)+"/events")
	seen := func(data string) func([]event) bool {
		return func(events []event) bool { return len(events) > 0 && events[len(events)-1].data == data }
	}
	readEvents(t, stream.Body, seen(`{"step":"main","done":0,"total":1}`)) // its steps are counted until it tells
	tell(job.Report{Progress: &job.Progress{Step: "load", Done: 50, Total: 200}})
	readEvents(t, stream.Body, seen(`{"step":"load","done":50,"total":200}`))
	tell(job.Report{Steps: []job.Step{{Name: "load", Status: job.Completed, FinishedAt: f.Now()}, {Index: 1, Name: "more", Status: job.Running}}})
	tell(job.Report{Progress: &job.Progress{Step: "more", Done: 200, Total: 200}})
	if got := readEvents(t, stream.Body, seen(`{"step":"more","done":200,"total":200}`)); len(got) != 1 {
		t.Errorf("steps are counted beside: %v", shorten(got))
	}
	f.Finish(t, 1, id, fence, controltest.Exit(0))
	got := readEvents(t, stream.Body, nil)
	if len(got) != 1 || got[0].name != "status" {
		t.Errorf("after the end: %v", shorten(got))
	}
}
