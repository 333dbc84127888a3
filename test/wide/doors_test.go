package wide

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestDIEMStartsAtOnce starts a job config by the DIEM door many times at once, at two API processes: one call makes a job, all others are
// told of it.
func TestDIEMStartsAtOnce(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 2, workers: 2})
	c := in.admin(t, in.apis[0])
	config := c.configure(t, "once", "#!/bin/sh\nexec sleep 300\n", nil)
	id := c.must(t, http.StatusOK, http.MethodGet, "/api/jobconfigs/"+config, nil).text("objectId")
	const starts = 24
	for round := range rounds(3, 20) {
		// A key of its own for each round: each may call a hundred times a minute.
		key := c.must(t, http.StatusCreated, http.MethodPost, "/api/apikeys", object{"name": fmt.Sprint("starts ", round)}).text("key")
		call := func(ctx context.Context, at *node, action string) answer {
			d := &rest{base: func() string { return at.url }}
			return d.call(ctx, http.MethodPost, "/etl-mgr/api/apijob", object{"id": id, "action": action}, "x-api-key", key)
		}
		answers, begin := make([]answer, starts), make(chan struct{})
		var all sync.WaitGroup
		for n := range starts {
			all.Go(func() {
				<-begin
				answers[n] = call(t.Context(), in.apis[n%len(in.apis)], "start")
			})
		}
		close(begin)
		all.Wait()
		messages, runs, at := map[string]int{}, map[string]bool{}, -1
		for n, a := range answers {
			if a.status != http.StatusOK {
				t.Errorf("a start: %s", a)
			}
			messages[a.text("message")]++
			runs[a.header.Get("X-Waybill-Job-Id")] = true
			if a.text("message") == "job started" {
				at = n % len(in.apis)
			}
		}
		if !maps.Equal(messages, map[string]int{"job started": 1, "job already running": starts - 1}) || len(runs) != 1 {
			t.Fatalf("round %d: %v, of runs %v", round, messages, slices.Collect(maps.Keys(runs)))
		}
		var jobs int
		if err := in.db.QueryRowContext(t.Context(), "SELECT count(*) FROM jobs").Scan(&jobs); err != nil || jobs != round+1 {
			t.Fatalf("%d jobs are stored after %d rounds (%v)", jobs, round+1, err)
		}
		t.Logf("round %d: %s answers that it started the job, %d calls that it runs", round, in.apis[at].name, starts-1)
		if a := call(t.Context(), in.apis[round%2], "stop"); a.status != http.StatusOK {
			t.Fatalf("%s", a)
		}
		for run := range runs {
			c.finish(t, run, endsWithin)
		}
	}
	in.stop(t)
}

const listedRuns = 40

// TestARunIsAlwaysInExactlyOneList looks at activity monitor and activity log of the Informatica door by turns, each at another API
// process, while runs come and go on two workers. Who asks the monitor first and the log second finds every run; who asks the log first
// finds none of its runs in the monitor afterwards.
func TestARunIsAlwaysInExactlyOneList(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 2, workers: 2, env: []string{"WAYBILL_INFORMATICA_RATE_LIMIT=0"}})
	c := in.admin(t, in.apis[0])
	config := c.configure(t, "Busy", "#!/bin/sh\nn=$(od -An -N1 -tu1 /dev/urandom)\nsleep 0.$((n % 9))\nexit $((n % 2))\n",
		object{"concurrency": object{"limit": listedRuns, "onLimit": "queue"}})
	task := c.must(t, http.StatusOK, http.MethodGet, "/api/jobconfigs/"+config, nil).text("objectId")
	var (
		mu    sync.Mutex
		known []float64 // whose start has been answered
		all   sync.WaitGroup
		ended = make(chan struct{})
	)
	for n := range 4 {
		at := in.apis[n%2]
		d, session := in.session(t, at)
		all.Go(func() {
			for range listedRuns / 4 {
				a := d.call(t.Context(), http.MethodPost, "/saas/api/v2/job", object{"@type": "job", "taskId": task, "taskType": "MTT"}, session...)
				number, _ := a.object()["runId"].(float64)
				if a.status != http.StatusOK || number == 0 {
					t.Errorf("a start: %s", a)
					return
				}
				mu.Lock()
				known = append(known, number)
				mu.Unlock()
				pause(t, 100*time.Millisecond)
			}
		})
	}
	go func() { all.Wait(); close(ended) }()
	look := in.lists(t)
	looks, moved := 0, 0
	err := within(t.Context(), endsWithin, func() error {
		last := false
		select {
		case <-ended:
			last = true // no more of them come
		default:
		}
		mu.Lock()
		runs := slices.Clone(known)
		mu.Unlock()
		here, there := looks%2, (looks+1)%2
		looks++
		active := look(here, "activityMonitor")
		logged := look(there, "activityLog?rowLimit=1000")
		for _, run := range runs {
			if !active[run] && !logged[run] {
				return final(fmt.Errorf("run %v is in neither list", run))
			}
			if active[run] && logged[run] {
				moved++ // it ended between the looks
			}
		}
		for run := range look(here, "activityMonitor") {
			if logged[run] {
				return final(fmt.Errorf("run %v is in the monitor after it was in the log", run))
			}
		}
		if !last || len(active) > 0 {
			return fmt.Errorf("%d runs have begun, %d are active", len(runs), len(active))
		}
		if len(runs) != listedRuns || len(logged) != listedRuns {
			return final(fmt.Errorf("%d runs were started, %d are in the log", len(runs), len(logged)))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d looks at %d runs; %d times one ended between the monitor and the log", looks, len(known), moved)
	all.Wait()
	in.stop(t)
}

// session signs in at the Informatica door of a process, and gives what calls say then.
func (in *installation) session(t *testing.T, at *node) (d *rest, headers []string) {
	t.Helper()
	d = &rest{base: func() string { return at.url }}
	a := d.must(t, http.StatusOK, http.MethodPost, "/ma/api/v2/user/login", object{"@type": "login", "username": "admin", "password": password})
	return d, []string{"icSessionId", a.text("icSessionId")}
}

// lists gives what reads a list of the Informatica door at one of the processes: the numbers of its runs.
func (in *installation) lists(t *testing.T) func(at int, list string) map[float64]bool {
	t.Helper()
	var doors []*rest
	var sessions [][]string
	for _, n := range in.apis {
		d, session := in.session(t, n)
		doors, sessions = append(doors, d), append(sessions, session)
	}
	return func(at int, list string) map[float64]bool {
		t.Helper()
		a := doors[at].must(t, http.StatusOK, http.MethodGet, "/saas/api/v2/activity/"+list, nil, append(sessions[at], "Accept", "application/json")...)
		var entries []struct {
			RunID float64 `json:"runId"`
		}
		if err := json.Unmarshal(a.body, &entries); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		runs := map[float64]bool{}
		for _, e := range entries {
			runs[e.RunID] = true
		}
		return runs
	}
}
