package native_test

import (
	"testing"

	"waybill/internal/job"
)

func TestResourcesAreKeptShownAndOverridden(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("limited", "run.sh")
	path := "/api/jobconfigs/" + config
	f.do("PATCH", path, `{"resources":{"memoryMiB":512,"cpus":1.5,"processes":64,"openFiles":256,"diskMiB":100,"network":"none"}}`).
		want(t, 200, `{"resources":{"memoryMiB":512,"cpus":1.5,"processes":64,"openFiles":256,"diskMiB":100,"network":"none"}}`)
	f.do("PATCH", path, `{"resources":{"cpus":null,"memoryMiB":256},"runtimeConfig":{"resources":{"diskMiB":50,"memoryMiB":99}}}`).
		want(t, 200, `{"resources":{"memoryMiB":256,"processes":64,"openFiles":256,"diskMiB":50,"network":"none"}}`)
	f.do("PUT", path, f.do("GET", path, nil).text).want(t, 200, `{"resources":{"memoryMiB":256,"network":"none"}}`)

	// A start lays its own over them, for its one job, and what is wrong with it leaves no job behind.
	want := job.Resources{MemoryMiB: 256, CPUs: 2, Processes: 10, OpenFiles: 256, DiskMiB: 50, Network: job.NetworkFull}
	r := f.do("POST", path+"/jobs", `{"runtimeConfig":{"resources":{"cpus":2,"processes":10,"network":"full","diskMiB":null}}}`).
		want(t, 202, `{"resources":{"memoryMiB":256,"cpus":2,"processes":10,"openFiles":256,"diskMiB":50,"network":"full"}}`)
	first := job.ID(r.json["id"].(string))
	if got := f.stored(string(first)).Spec.Resources; got != want {
		t.Errorf("the job has %+v, want %+v", got, want)
	}
	f.do("POST", path+"/jobs", `{"runtimeConfig":{"resources":{"openFiles":1}}}`).fault(t, 400, "invalid_field", "resources.openFiles is between 16 and 1048576")
	f.do("POST", path+"/jobs", `{"runtimeConfig":{"resources":{"cpus":-1}}}`).fault(t, 400, "invalid_field", "resources.cpus is more than 0; null leaves it to the package and the worker")
	f.do("POST", path+"/jobs", `{"runtimeConfig":{"resources":{"network":"some"}}}`).fault(t, 400, "invalid_field", "resources.network is full or none")

	// A retry has its parent's, with its own over them.
	f.do("PATCH", path, `{"resources":null}`).want(t, 200, `{}`)
	f.play(first, 1)
	r = f.do("POST", "/api/jobs/"+string(first)+"/retry", `{"runtimeConfig":{"resources":{"memoryMiB":1024}}}`).want(t, 202, `{}`)
	want.MemoryMiB = 1024
	if got := f.stored(r.json["id"].(string)).Spec.Resources; got != want {
		t.Errorf("the retry has %+v, want %+v", got, want)
	}
	if got := f.stored(string(f.start(config))).Spec.Resources; got != (job.Resources{}) {
		t.Errorf("a start of a config without resources has %+v", got)
	}
}

func TestTheSandboxIsShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("shown", "run.sh"))
	if _, _, err := f.Store.Begin(t.Context(), 1, id, 1, "w", f.Now()); err != nil {
		t.Fatal(err)
	}
	if err := f.Store.Started(t.Context(), 1, id, 1, "landlock version 7; memory 1 GiB", f.Now()); err != nil {
		t.Fatal(err)
	}
	f.do("GET", "/api/jobs/"+string(id), nil).want(t, 200, `{"sandbox":"landlock version 7; memory 1 GiB"}`)
	f.do("GET", "/api/jobs/"+string(id)+"/attempts", nil).want(t, 200, `{"items":[{"number":1,"sandbox":"landlock version 7; memory 1 GiB"}]}`)
}
