package native_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// instant is the ports behind a start and a look at a job that cost nothing, so that what is left is the door.
type instant struct {
	control.ConfigReader
	control.FileStore
	control.Users
	control.Tokens
	job    job.Job
	config job.Config
	user   job.User
	family job.TokenFamily
}

func (i *instant) Config(context.Context, int64, int64) (job.Config, error) { return i.config, nil }
func (i *instant) Job(context.Context, int64, job.ID) (job.Job, error)      { return i.job, nil }
func (i *instant) Jobs(context.Context, job.Query) (job.List[job.Job], job.JobStats, error) {
	return job.List[job.Job]{Items: []job.Job{i.job}, Total: 1}, job.JobStats{}, nil
}
func (i *instant) Family(context.Context, int64, job.ID) ([]job.Job, error)     { return nil, nil }
func (i *instant) Steps(context.Context, int64, job.ID) ([]job.Step, error)     { return nil, nil }
func (i *instant) Outputs(context.Context, int64, job.ID) ([]job.Output, error) { return nil, nil }
func (i *instant) File(context.Context, int64, job.EntityType, int64, string, int) (job.File, error) {
	return job.File{Key: "run.sh", Version: 1, Size: 1}, nil
}
func (i *instant) Replay(context.Context, int64, control.Idempotency, time.Time) (job.Job, bool, error) {
	return job.Job{}, false, nil
}

func (i *instant) Submit(context.Context, control.Submission) (job.Job, bool, error) {
	return i.job, false, nil
}
func (i *instant) Cancel(context.Context, int64, job.ID, job.UserRef, time.Time, time.Duration) (job.Job, error) {
	return i.job, nil
}
func (i *instant) StepsOf(context.Context, int64, []job.ID) (map[job.ID][]job.Step, error) {
	return nil, nil
}
func (i *instant) MarkUnreachable(context.Context, int64, job.ID, bool) error { return nil }
func (i *instant) Destination(context.Context, int64, int64) (job.Destination, error) {
	return job.Destination{ID: 1, TaskQueue: "q"}, nil
}
func (i *instant) User(context.Context, int64, int64) (job.User, error) { return i.user, nil }
func (i *instant) TokenFamily(context.Context, string) (job.TokenFamily, error) {
	return i.family, nil
}

// benchDoor makes a fixture whose database is taken out after the login.
func benchDoor(b *testing.B) (*fixture, string, string) {
	b.Helper()
	f := newFixture(b)
	config := f.config("sample config", "run.sh")
	id := f.start(config)
	ctx := b.Context()
	i := &instant{}
	var err error
	if i.config, err = f.Store.Config(ctx, 1, 1); err != nil {
		b.Fatal(err)
	}
	if i.job, err = f.Store.Job(ctx, 1, id); err != nil {
		b.Fatal(err)
	}
	if i.user, err = f.Store.User(ctx, 1, 1); err != nil {
		b.Fatal(err)
	}
	actor, err := f.Sessions.Authenticate(ctx, f.token)
	if err != nil {
		b.Fatal(err)
	}
	if i.family, err = f.Store.TokenFamily(ctx, actor.Family); err != nil {
		b.Fatal(err)
	}
	f.Configs.Reader, f.Jobs.Reader, f.Jobs.Writer, f.Jobs.Files, f.Jobs.Users = i, i, i, i, i
	f.Sessions.Users, f.Sessions.Tokens = i, i
	return f, config, string(id)
}

// discard is a reply nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func benchmark(b *testing.B, f *fixture, method, path, body string, status int) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+f.token)
		r.Header.Set("Content-Type", "application/json")
		w := &discard{header: http.Header{}}
		f.server.ServeHTTP(w, r)
		if w.status != status {
			b.Fatal(w.status)
		}
	}
}

// What the door itself costs when a job is started; the database and the engine come on top.
func BenchmarkStartJob(b *testing.B) {
	f, config, _ := benchDoor(b)
	benchmark(b, f, "POST", "/api/jobconfigs/"+config+"/jobs", `{"tags":["bench"]}`, 202)
}

func BenchmarkGetJob(b *testing.B) {
	f, _, id := benchDoor(b)
	benchmark(b, f, "GET", "/api/jobs/"+id, "", 200)
}

// What a call costs that reaches no use case: router, middleware, huma and one error.
func BenchmarkNoToken(b *testing.B) {
	f, _, id := benchDoor(b)
	f.token = ""
	benchmark(b, f, "GET", "/api/jobs/"+id, "", 401)
}
