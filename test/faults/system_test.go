package faults

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"waybill/storage/storagetest"
	"waybill/test/internal/proxy"
)

// system is everything under test, and what stands around it.
type system struct {
	dir       string // data folders and logs; kept when the test fails
	seed      uint64
	mark      string
	up        *process
	workers   []*process
	proxies   []*proxy.Proxy
	client    *restClient
	observer  *observer
	temporal  client.Client
	run       runFile
	database  database
	servers   []string // settings that say where database and object store are
	elsewhere string   // id of the second destination

	outages atomic.Int64 // begun and ended, of servers; one at a time, so it is odd during one

	mu         sync.Mutex
	done       []string // faults, with their times
	failure    error
	terminated map[string]bool // workflow ids
}

// newAlone is one process that has everything in its data folder.
func newAlone(t *testing.T) *system {
	t.Helper()
	s := newSystem(t)
	s.database = database{driver: "sqlite", source: "file:" + filepath.Join(s.dir, "up", "waybill.db")}
	return s
}

// s3Variable names the environment variable with the URL of an S3 server for tests, credentials and all; test/bin/with-minio
// starts one and sets it.
const s3Variable = "WAYBILL_TEST_S3"

// newBehindProxies has its tables and its objects on servers that can be made to go away.
func newBehindProxies(t *testing.T) *system {
	t.Helper()
	s := newSystem(t)
	direct := storagetest.PostgresURL(t)
	s.database = database{driver: "pgx", source: direct}
	to, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := url.Parse(os.Getenv(s3Variable))
	if err != nil {
		t.Fatalf("%s is not a URL: %v", s3Variable, err)
	}
	for _, server := range []struct {
		name string
		url  *url.URL
	}{{"database", to}, {"object store", objects}} {
		p, err := proxy.New(server.name, server.url.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		s.proxies = append(s.proxies, p)
		server.url.Host = p.Address()
	}
	secret, _ := objects.User.Password()
	s.servers = []string{
		"WAYBILL_DATABASE=" + to.String(), "WAYBILL_S3_ENDPOINT=" + objects.Host, "WAYBILL_S3_ACCESS_KEY=" + objects.User.Username(),
		"WAYBILL_S3_SECRET_KEY=" + secret, "WAYBILL_S3_BUCKET=" + s.mark,
	}
	s.up.env = append(s.up.env, s.servers...)
	return s
}

// manners are settings that every process gets, so that a lost worker is found and a stop is over soon.
var manners = []string{"--worker-loss", "4s", "--job-grace", "2s", "--drain-timeout", "3s"}

// newSystem prepares the folder and the process that is always there.
func newSystem(t *testing.T) *system {
	t.Helper()
	dir, err := os.MkdirTemp("", "waybill-faults-")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{dir: dir, terminated: map[string]bool{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("data and logs are kept in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.mark = filepath.Base(dir)
	if s.observer, err = observe(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.observer.close)
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(time.Now().UnixNano())))
	var ports [3]string
	for n := range ports {
		if ports[n], err = freePort(random); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "up")
	s.up = &process{
		name: "up", logs: filepath.Join(dir, "up.log"), up: readyFile(data),
		args: []string{
			"up", "--data", data, "--listen", ports[0], "--engine-listen", ports[1], "--engine-ui-listen", ports[2],
			"--dates", "rfc3339",
		},
		env: []string{"WAYBILL_ADMIN_PASSWORD=" + password},
	}
	s.up.args = append(s.up.args, manners...)
	s.client = newClient("http://" + ports[0])
	return s
}

// launch starts all of it.
func (s *system) launch(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		for _, p := range s.all() {
			p.put()
		}
	})
	if err := s.up.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "up", "run.json"))
	if err == nil {
		err = json.Unmarshal(text, &s.run)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.login(t.Context()); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(s.dir, "up", "engine-token"))
	if err != nil {
		t.Fatal(err)
	}
	s.temporal, err = client.Dial(client.Options{
		Credentials: client.NewAPIKeyStaticCredentials(strings.TrimSpace(string(token))), ConnectionOptions: client.ConnectionOptions{TLSDisabled: true},
		HostPort: s.run.TemporalAddress, Namespace: s.run.TemporalNamespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.temporal.Close)
	s.launchWorkers(t)
}

// launchWorkers starts the worker processes of the second destination. They find what the settings do not name in the data
// folder of up.
func (s *system) launchWorkers(t *testing.T) {
	t.Helper()
	a, err := s.client.must(t.Context(), http.StatusCreated, http.MethodPost, "/api/destinations", object{"name": "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	s.elsewhere = a.text("id")
	for _, name := range []string{"worker-1", "worker-2"} {
		logs := filepath.Join(s.dir, name+".log")
		p := &process{
			name: name, logs: logs, up: readyWord(logs, "runs jobs of destination elsewhere"), env: s.servers,
			args: append([]string{
				"worker", "--data", filepath.Join(s.dir, "up"), "--work", filepath.Join(s.dir, name, "work"),
				"--destination", "elsewhere", "--concurrency", "6",
			}, manners...),
		}
		s.workers = append(s.workers, p)
		if err := p.start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *system) all() []*process { return append([]*process{s.up}, s.workers...) }

// configure makes the job configs. All have the same package.
func (s *system) configure(t *testing.T, all []*kind) (made []*kind) {
	t.Helper()
	ctx := t.Context()
	for _, k := range all {
		c := k.config(s.observer.address(), s.mark, s.elsewhere)
		a, err := s.client.must(ctx, http.StatusCreated, http.MethodPost, "/api/jobconfigs", object{"name": c["name"]})
		if err != nil {
			t.Fatal(err)
		}
		k.id = a.text("id")
		_, err = s.client.must(ctx, http.StatusCreated, http.MethodPost, "/api/jobconfigs/"+k.id+"/files?key=program.zip", program,
			"Content-Type", "application/octet-stream")
		if err == nil {
			_, err = s.client.must(ctx, http.StatusOK, http.MethodPut, "/api/jobconfigs/"+k.id, c)
		}
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, k)
	}
	return made
}

func (s *system) unfinished(ctx context.Context) (ids []string, err error) {
	a := s.client.call(ctx, http.MethodGet, "/api/jobs/unfinished", nil)
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("the list of unfinished jobs: %s", a)
	}
	return ids, json.Unmarshal(a.body, &ids)
}

// drain waits until all jobs have ended and all retries are rolled up, no workflow is open, and no program runs.
func (s *system) drain(ctx context.Context) error {
	return within(ctx, drainWithin, func() error {
		ids, err := s.unfinished(ctx)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			return fmt.Errorf("%d jobs are unfinished, such as %s", len(ids), s.client.call(ctx, http.MethodGet, "/api/jobs/"+ids[0], nil))
		}
		open, err := s.workflows(ctx, `ExecutionStatus="Running" AND WorkflowType IN ("Job", "Retry", "Lane")`)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return fmt.Errorf("%d workflows are open: %s", len(open), strings.Join(open[:min(len(open), 10)], " "))
		}
		if n, err := s.notRolledUp(ctx); err != nil || n > 0 {
			return fmt.Errorf("%d retries are not rolled up (%v)", n, err)
		}
		return s.observer.silent()
	})
}

// lastLook reads every job that was accepted over REST, and the folders of those that run no more.
func (s *system) lastLook(t *testing.T, all *ledger) {
	t.Helper()
	for _, id := range all.order {
		a := s.client.insist(t.Context(), http.MethodGet, "/api/jobs/"+id, nil)
		if a.status != http.StatusOK {
			all.wrong("job %s was accepted, and in the end its GET answers %s", id, a)
			continue
		}
		all.seen(a)
	}
	for _, left := range s.jobFolders() {
		all.wrong("a job folder is left while nothing runs: %s", left)
	}
}

// jobFolders are the folders of jobs in the data folders of all processes. Those that begin with a dot are made ahead.
func (s *system) jobFolders() (left []string) {
	for _, p := range s.all() {
		entries, _ := filepath.Glob(filepath.Join(s.dir, p.name, "work", "jobs", "*")) // the pattern is well formed
		for _, e := range entries {
			if !strings.HasPrefix(filepath.Base(e), ".") {
				left = append(left, e)
			}
		}
	}
	return left
}

// stop ends all processes, which must go well.
func (s *system) stop(t *testing.T) {
	t.Helper()
	for _, p := range append(append([]*process{}, s.workers...), s.up) {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}

// processesLeft finds processes of this run's jobs.
func (s *system) processesLeft() (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	mark := []byte(markName + "=" + s.mark)
	for _, file := range all {
		env, err := os.ReadFile(file)
		if err != nil { // ended meanwhile, or another user's
			continue
		}
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(v, mark) {
				pids = append(pids, filepath.Base(filepath.Dir(file)))
			}
		}
	}
	return pids
}

// within calls try until it succeeds or the time is over; then it returns try's last error.
func within(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		}
	}
}

// packed makes the package of the jobs' program.
func packed(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "program", Method: zip.Deflate}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	return b.Bytes(), err
}
