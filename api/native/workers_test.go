package native_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

// beat gives a sign of life of a worker of the queue, for account 1.
func (f *fixture) beat(id, queue string) job.Worker {
	f.t.Helper()
	w := job.Worker{
		ID: id, AccountID: 1, TaskQueue: queue, Hostname: "host-" + id, PID: 42, Version: "1.2.3", Labels: map[string]string{"zone": "a"},
		Runners: []string{"native", "shell"}, Sandbox: "landlock", Concurrency: 8, Running: 3, Status: job.WorkerOnline,
		StartedAt: f.Now(), BeatAt: f.Now(),
	}
	if _, err := f.Store.Beat(f.t.Context(), w); err != nil {
		f.t.Fatal(err)
	}
	return w
}

func TestWorkersAreListedDrainedAndResumed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.beat("1@a", "queue-default")
	f.Pass(time.Second)
	f.beat("2@b", "queue-default")
	f.do("GET", "/api/workers", nil).want(t, 200, `{"totalRecords":2,"items":[
		{"id":"1@a","name":"1@a","hostname":"host-1@a","version":"1.2.3","destination":{"id":"1","name":"default","href":"http://localhost:8080/api/destinations/1"},
		"runners":["native","shell"],"concurrency":8,"runningJobs":3,"status":"online","labels":{"zone":"a"},"pid":42,
		"lastHeartbeat":"Mar 17, 2026 9:40:58 AM"},{"id":"2@b"}]}`)
	f.do("POST", "/api/workers/1@a/drain", nil).want(t, 202, `{"id":"1@a","status":"draining"}`)
	if drain, err := f.Store.Beat(t.Context(), f.worker("1@a")); err != nil || !drain {
		t.Errorf("the worker hears %v, %v", drain, err)
	}
	f.do("GET", "/api/workers?filterby=status&operators=eq&filter=draining", nil).want(t, 200, `{"totalRecords":1,"items":[{"id":"1@a"}]}`)
	f.do("POST", "/v2/api/workers/1@a/resume", nil).want(t, 202, `{"id":"1@a","status":"online"}`)
	f.do("POST", "/api/workers/3@c/drain", nil).fault(t, 404, "not_found", "Worker 3@c not found")

	f.Pass(job.WorkerSilence)
	f.beat("1@a", "queue-default")
	f.Pass(time.Second)
	f.do("GET", "/api/workers?sortby=status", nil).want(t, 200, `{"items":[{"id":"2@b","status":"offline","runningJobs":0},{"id":"1@a","status":"online"}]}`)
	for query, want := range map[string][]string{
		"filterby=labels&operators=eq&filter=zone%3Da&sortby=lastHeartbeat&direction=desc": {"1@a", "2@b"},
		"filterby=runners&operators=in&filter=python|shell&sortby=runningJobs":             {"1@a", "2@b"},
		"filterby=destination.id&operators=eq&filter=2":                                    nil,
		"filterby=destination.name&operators=eq&filter=default&sortby=hostname&size=1":     {"1@a"},
		"filter=host-2": {"2@b"}, "filterby=version,concurrency&operators=eq,gt&filter=1.2.3,7&sortby=started&direction=desc": {"2@b", "1@a"},
	} {
		if got := names(f.do("GET", "/api/workers?"+query, nil).want(t, 200, "")); !slices.Equal(got, want) {
			t.Errorf("%s gives %v, want %v", query, got, want)
		}
	}
	f.do("GET", "/api/workers?sortby=colour", nil).fault(t, 400, "unknown_property", "Unknown property 'colour'")
	f.do("GET", "/api/workers?filterby=colour&operators=eq&filter=red", nil).fault(t, 400, "unknown_property", "Unknown property 'colour'")
	f.do("GET", "/api/workers?cursor=", nil).fault(t, 400, "invalid_field", "")
}

// worker is the worker as the store has it.
func (f *fixture) worker(id string) job.Worker {
	f.t.Helper()
	list, err := f.Store.Workers(f.t.Context(), 1)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, w := range list {
		if w.ID == id {
			return w
		}
	}
	f.t.Fatalf("no worker %s", id)
	return job.Worker{}
}

func TestDestinations(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("POST", "/api/destinations", `{"name":" north ","description":"far away"}`).want(t, 201,
		`{"id":"2","name":"north","description":"far away","href":"http://localhost:8080/api/destinations/2","system":false,"workers":0,"queued":0}`)
	if r.Header().Get("Location") != "http://localhost:8080/api/destinations/2" {
		t.Errorf("Location %s", r.Header().Get("Location"))
	}
	f.do("POST", "/api/destinations", `{"name":"NORTH"}`).fault(t, 409, "duplicate_name", "A destination named 'NORTH' already exists")
	f.do("POST", "/api/destinations", `{}`).fault(t, 400, "missing_field", "name is required")
	f.do("POST", "/api/destinations", `{"name":"a/b"}`).fault(t, 400, "invalid_field", "")
	f.do("PUT", "/api/destinations/2", `{"name":"North"}`).want(t, 200, `{"name":"North"}`)
	f.do("PUT", "/api/destinations/9", `{"name":"North"}`).fault(t, 404, "not_found", "Destination 9 not found")

	config := f.config("on it", "main.sh")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"destinationId":"2"}`).want(t, 200, `{"destinationId":"2","destination":{"id":"2","name":"North"}}`)
	id := f.start(config)
	f.beat("1@a", "waybill-1-2")
	f.Pass(3 * time.Second)
	f.do("GET", "/api/jobs/"+string(id), nil).want(t, 200, `{"finalDestinationId":"2","destination":{"id":"2","name":"North"},
		"finalDestination":{"id":"2","name":"North","href":"http://localhost:8080/api/destinations/2"}}`)
	f.do("GET", "/api/destinations/2", nil).want(t, 200, `{"workers":1,"queued":1}`)
	f.do("GET", "/api/destinations?sortby=queued&direction=desc", nil).want(t, 200, `{"totalRecords":2,"items":[{"name":"North"},{"name":"default","system":true}]}`)
	f.do("DELETE", "/api/destinations/2", nil).fault(t, 409, "destination_in_use", "Destination 2 is used by a job config")
	f.do("DELETE", "/api/destinations/1", nil).fault(t, 409, "destination_in_use", "")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"destinationId":null}`).want(t, 200, "")
	f.do("DELETE", "/api/destinations/2", nil).fault(t, 409, "destination_in_use", "Destination 2 has jobs that have not ended")
	f.play(id, 0)
	f.do("DELETE", "/api/destinations/2", nil).fault(t, 409, "destination_in_use", "Destination 2 has a worker")
	f.Pass(job.WorkerSilence + time.Second)
	f.do("DELETE", "/api/destinations/2", nil).want(t, 204, "")
	f.do("GET", "/api/destinations/2", nil).fault(t, 404, "not_found", "Destination 2 not found")
	f.do("GET", "/api/jobs/"+string(id), nil).want(t, 200, `{"finalDestinationId":"2"}`)
}

func TestTheAccountsDefaultDestination(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", "/api/destinations", `{"name":"north"}`).want(t, 201, `{"id":"2"}`)
	f.do("PUT", "/api/account/destination", nil).fault(t, 400, "missing_field", "destinationId is required")
	f.do("PUT", "/api/account/destination?destinationId=7", nil).fault(t, 404, "not_found", "Destination 7 not found")
	f.do("PUT", "/api/account/destination?destinationId=2", nil).want(t, 200, `{"id":"1","destinationId":"2"}`)
	config := f.config("anywhere", "main.sh")
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil).want(t, 202, `{"finalDestinationId":"2"}`)
	f.do("DELETE", "/api/account/destination?destinationId=1", nil).fault(t, 404, "not_found", "Destination 1 is not the account's default")
	f.do("DELETE", "/api/account/destination?destinationId=2", nil).want(t, 204, "")
	f.do("DELETE", "/api/account/destination", nil).want(t, 204, "")
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", nil).want(t, 202, `{"finalDestinationId":"1"}`)
}

func TestAJobWithoutAWorkerSaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := string(f.start(f.config("lonely", "main.sh")))
	f.Pass(30 * time.Second)
	if r := f.do("GET", "/api/jobs/"+id, nil).want(t, 200, `{"status":"QUEUED"}`); r.json["reason"] != nil || r.json["warnings"] != nil {
		t.Errorf("after 30 s: %s", r.text)
	}
	f.Pass(3 * time.Second)
	f.do("GET", "/api/jobs/"+id, nil).want(t, 200, `{"status":"QUEUED","reason":"no_worker","warnings":["no_worker"]}`)
	f.do("GET", "/api/jobs", nil).want(t, 200, `{"items":[{"status":"QUEUED","reason":"no_worker","warnings":["no_worker"]}]}`)
	f.beat("1@a", "queue-default")
	f.Pass(2 * time.Second)
	if r := f.do("GET", "/api/jobs/"+id, nil).want(t, 200, `{"status":"QUEUED"}`); r.json["reason"] != nil || r.json["warnings"] != nil {
		t.Errorf("with a worker: %s", r.text)
	}
	f.Take(t, 1, job.ID(id)) // by worker-1, which nobody knows
	f.Pass(31 * time.Second)
	r := f.do("GET", "/api/jobs/"+id, nil).want(t, 200, `{"status":"RUNNING","worker":"worker-1","warnings":["no_worker"]}`)
	if r.json["reason"] != nil {
		t.Errorf("a running job's reason: %s", r.text)
	}
	f.do("DELETE", "/api/jobs/"+id, nil).want(t, 202, "")
}

func TestOtherAccountsAndUsersHaveTheirBounds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", "/api/destinations", `{"name":"north"}`).want(t, 201, `{"id":"2"}`)
	f.beat("1@a", "waybill-1-2")
	f.Account(t, "other", "other-admin", "example-password")
	f.token = f.login("other-admin", "example-password")
	f.do("GET", "/api/workers", nil).want(t, 200, `{"totalRecords":0}`)
	f.do("POST", "/api/workers/1@a/drain", nil).fault(t, 404, "not_found", "Worker 1@a not found")
	f.do("GET", "/api/destinations", nil).want(t, 200, `{"totalRecords":1,"items":[{"id":"3","name":"default"}]}`)
	for _, method := range []string{"GET", "DELETE"} {
		f.do(method, "/api/destinations/2", nil).fault(t, 404, "not_found", "Destination 2 not found")
	}
	f.do("PUT", "/api/destinations/2", `{"name":"mine"}`).fault(t, 404, "not_found", "Destination 2 not found")
	f.do("PUT", "/api/account/destination?destinationId=2", nil).fault(t, 404, "not_found", "Destination 2 not found")
	body := `{"name":"x","destinationId":"2"}`
	if r := f.do("POST", "/api/jobconfigs", body); r.Code < 400 || !strings.Contains(r.text, "estination") {
		t.Errorf("a config takes another account's destination: %d %s", r.Code, r.text)
	}
}
