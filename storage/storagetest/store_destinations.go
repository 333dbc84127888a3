package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

const manyDestinations = 1000

func (n *tenant) destination(t *testing.T, name string) job.Destination {
	t.Helper()
	d, err := n.CreateDestination(t.Context(), job.Destination{AccountID: n.account.ID, Name: name}, manyDestinations)
	if err != nil {
		t.Fatalf("CreateDestination(%s): %v", name, err)
	}
	return d
}

var destinationCases = map[string]func(*testing.T, *tenant){
	"a destination comes back with a queue that holds nothing of its name": func(t *testing.T, n *tenant) {
		d, err := n.CreateDestination(t.Context(), job.Destination{
			ID: 999, AccountID: n.account.ID, Name: "Süd", Description: "the south", TaskQueue: "mine", System: true,
		}, manyDestinations)
		if err != nil {
			t.Fatal(err)
		}
		want := job.Destination{
			ID: d.ID, AccountID: n.account.ID, Name: "Süd", Description: "the south", TaskQueue: fmt.Sprintf("waybill-%d-%d", n.account.ID, d.ID),
		}
		same(t, "made", d, want)
		got, err := n.Destination(t.Context(), n.account.ID, d.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "read", got, want)
		named, err := n.DestinationNamed(t.Context(), n.account.Name, "SÜD")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "by name", named, want)
		any, err := n.AnyDestination(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "by id", any, want)
		list, err := n.Destinations(t.Context(), n.account.ID)
		if err != nil || len(list) != 2 || !list[0].System || list[1] != want {
			t.Errorf("list = %+v, %v, want the system's and the new one", list, err)
		}
	},
	"a name is taken in any letter case, in its account only": func(t *testing.T, n *tenant) {
		d, b := n.destination(t, "North"), n.other(t)
		b.destination(t, "North")
		_, err := n.CreateDestination(t.Context(), job.Destination{AccountID: n.account.ID, Name: "NORTH"}, manyDestinations)
		refused(t, err, job.Conflict, job.WordDuplicateName)
		_, err = n.CreateDestination(t.Context(), job.Destination{AccountID: n.account.ID, Name: "Default"}, manyDestinations)
		refused(t, err, job.Conflict, job.WordDuplicateName)
		e := n.destination(t, "East")
		e.Name = "north"
		_, err = n.UpdateDestination(t.Context(), e)
		refused(t, err, job.Conflict, job.WordDuplicateName)
		d.Name = "NORTH"
		if _, err = n.UpdateDestination(t.Context(), d); err != nil {
			t.Errorf("another letter case of its own name: %v", err)
		}
	},
	"an update changes name and description only": func(t *testing.T, n *tenant) {
		d := n.destination(t, "before")
		change := d
		change.Name, change.Description, change.TaskQueue, change.System = "after", "new", "other", true
		got, err := n.UpdateDestination(t.Context(), change)
		if err != nil {
			t.Fatal(err)
		}
		d.Name, d.Description = "after", "new"
		same(t, "updated", got, d)
		_, err = n.DestinationNamed(t.Context(), n.account.Name, "before")
		absent(t, err)
	},
	"an account has as many as the limit says, also when they come at once": func(t *testing.T, n *tenant) {
		made := 0
		for _, err := range atOnce(10, func(i int) error {
			_, err := n.CreateDestination(t.Context(), job.Destination{AccountID: n.account.ID, Name: fmt.Sprint("d", i)}, 4)
			return err
		}) {
			if err == nil {
				made++
				continue
			}
			refused(t, err, job.Invalid, job.WordInvalidField)
		}
		same(t, "made beside the system's", made, 3)
	},
	"another account's destinations can neither be seen nor changed": func(t *testing.T, n *tenant) {
		d, b := n.destination(t, "ours"), n.other(t)
		foreign := d
		foreign.AccountID = b.account.ID
		_, err := n.UpdateDestination(t.Context(), foreign)
		absent(t, err)
		absent(t, n.DeleteDestination(t.Context(), b.account.ID, d.ID, start))
		absent(t, n.SetDefaultDestination(t.Context(), b.account.ID, d.ID))
		_, err = n.DestinationNamed(t.Context(), b.account.Name, "ours")
		absent(t, err)
		for _, name := range []string{"", "nul\x00", "\xff", strings.Repeat("long", 10_000)} {
			_, err = n.DestinationNamed(t.Context(), n.account.Name, name)
			absent(t, err)
			_, err = n.DestinationNamed(t.Context(), name, "ours")
			absent(t, err)
		}
		_, err = n.AnyDestination(t.Context(), 999_999)
		absent(t, err)
		_, err = n.CreateDestination(t.Context(), job.Destination{AccountID: 999_999, Name: "x"}, manyDestinations)
		absent(t, err)
	},
	"the default is the one that is set, else the one the account began with": func(t *testing.T, n *tenant) {
		d, ctx := n.destination(t, "chosen"), t.Context()
		for _, step := range []struct{ set, want int64 }{{d.ID, d.ID}, {0, n.account.Destination}, {n.account.Destination, n.account.Destination}} {
			if err := n.SetDefaultDestination(ctx, n.account.ID, step.set); err != nil {
				t.Fatal(err)
			}
			got, err := n.Destination(ctx, n.account.ID, 0)
			if err != nil || got.ID != step.want {
				t.Errorf("with %d set the default is %+v, %v, want %d", step.set, got, err, step.want)
			}
		}
		absent(t, n.SetDefaultDestination(ctx, n.account.ID, 999_999))
		absent(t, n.SetDefaultDestination(ctx, 999_999, 0))
	},
	"one that is in use is kept": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		d := n.destination(t, "used")
		kept := func(why string) {
			t.Helper()
			err := n.DeleteDestination(ctx, n.account.ID, d.ID, start)
			refused(t, err, job.Conflict, job.WordDestinationInUse)
			says(t, err, fmt.Sprintf("Destination %d %s", d.ID, why))
		}
		if err := n.SetDefaultDestination(ctx, n.account.ID, d.ID); err != nil {
			t.Fatal(err)
		}
		kept("is the account's default")
		c := n.newConfig("on it")
		c.Destination = d.ID
		c, err := n.CreateConfig(ctx, c)
		if err := errors.Join(err, n.SetDefaultDestination(ctx, n.account.ID, 0)); err != nil {
			t.Fatal(err)
		}
		kept("is used by a job config")
		j := n.submit(t, func(j *job.Job) { j.Destination = d.ID })
		if err := n.DeleteConfigs(ctx, n.scope(), []int64{c.ID}); err != nil {
			t.Fatal(err)
		}
		kept("has jobs that have not ended")
		_, err = n.Beat(ctx, n.newWorker("w-use", d.TaskQueue, 10))
		_, stopped := n.Cancel(ctx, n.account.ID, j.ID, n.admin.Ref(), at(1), 0)
		if err := errors.Join(err, stopped); err != nil {
			t.Fatal(err)
		}
		kept("has a worker")
		refused(t, n.DeleteDestination(ctx, n.account.ID, n.account.Destination, start), job.Conflict, job.WordDestinationInUse)

		// The worker's last sign of life is from the tenth second.
		if err := n.DeleteDestination(ctx, n.account.ID, d.ID, at(11)); err != nil {
			t.Errorf("with a worker that is silent: %v", err)
		}
		absent(t, n.DeleteDestination(ctx, n.account.ID, d.ID, start))
		same(t, "the ended job's destination", n.now(t, j.ID).Destination, d.ID)
	},
	"what names one and what deletes it do not pass each other": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		named := map[string]func(id int64) error{
			"a job": func(id int64) error {
				j := n.newJob()
				j.Destination = id
				_, _, err := n.Submit(ctx, control.Submission{Job: j})
				return err
			},
			"a new config": func(id int64) error {
				c := n.newConfig(string(newID()))
				c.Destination = id
				_, err := n.CreateConfig(ctx, c)
				return err
			},
			"a changed config": func(id int64) error {
				c, err := n.CreateConfig(ctx, n.newConfig(string(newID())))
				if err != nil {
					t.Error(err)
				}
				was := c.ModifiedAt
				c.Destination = id
				return n.UpdateConfig(ctx, c, was)
			},
		}
		for what, name := range named {
			for range 20 {
				d := n.destination(t, string(newID()))
				deleted := make(chan error, 1)
				go func() { deleted <- n.DeleteDestination(ctx, n.account.ID, d.ID, start) }()
				using, deleting := name(d.ID), <-deleted
				if (using == nil) == (deleting == nil) {
					t.Fatalf("%s: naming it says %v, deleting it says %v", what, using, deleting)
				}
			}
		}
	},
	"queued jobs are counted by destination": func(t *testing.T, n *tenant) {
		d := n.destination(t, "counted")
		onIt := func(j *job.Job) { j.Destination = d.ID }
		n.submit(t, onIt)
		n.submit(t, onIt)
		n.submit(t)
		n.begun(t, onIt)
		n.ended(t, completed(), onIt)
		n.other(t).submit(t)
		counts, err := n.QueuedJobs(t.Context(), n.account.ID)
		if err != nil || len(counts) != 2 || counts[d.ID] != 2 || counts[n.account.Destination] != 1 {
			t.Errorf("QueuedJobs = %v, %v, want 2 on %d and 1 on %d", counts, err, d.ID, n.account.Destination)
		}
	},
	"texts that can not be stored are refused": func(t *testing.T, n *tenant) {
		_, err := n.CreateDestination(t.Context(), job.Destination{AccountID: n.account.ID, Name: "nul\x00"}, manyDestinations)
		refused(t, err, job.Invalid, job.WordInvalidField)
		d := n.destination(t, "fine")
		d.Description = "\xff"
		_, err = n.UpdateDestination(t.Context(), d)
		refused(t, err, job.Invalid, job.WordInvalidField)
	},
}

func (n *tenant) newWorker(id, queue string, second int) job.Worker {
	return job.Worker{
		ID: id + "@" + n.account.Name, AccountID: n.account.ID, TaskQueue: queue, Hostname: "host", PID: 42, Version: "1.2.3",
		Labels: map[string]string{"zone": "a"}, Runners: []string{"native", "shell"}, Sandbox: "landlock", Concurrency: 8, Running: 1,
		Status: job.WorkerOnline, StartedAt: start, BeatAt: at(second),
	}
}

var workerCases = map[string]func(*testing.T, *tenant){
	"a worker is seen as it says it is": func(t *testing.T, n *tenant) {
		ctx, d := t.Context(), n.destination(t, "served")
		w := n.newWorker("w", d.TaskQueue, 0)
		for second := range 2 {
			w.BeatAt, w.Running = at(second), second
			if drain, err := n.Beat(ctx, w); err != nil || drain {
				t.Fatalf("Beat = %v, %v", drain, err)
			}
		}
		w.Status = job.WorkerDraining
		if _, err := n.Beat(ctx, w); err != nil {
			t.Fatal(err)
		}
		list, err := n.Workers(ctx, n.account.ID)
		if err != nil || len(list) != 1 {
			t.Fatalf("Workers = %+v, %v", list, err)
		}
		w.Destination = d.ID
		same(t, "worker", list[0], w)
	},
	"what is wanted of a worker stays until it is taken back": func(t *testing.T, n *tenant) {
		ctx, d := t.Context(), n.destination(t, "drained")
		w := n.newWorker("w", d.TaskQueue, 0)
		beat := func(want bool) {
			t.Helper()
			if drain, err := n.Beat(ctx, w); err != nil || drain != want {
				t.Errorf("Beat = %v, %v, want %v", drain, err, want)
			}
		}
		beat(false)
		for _, drain := range []bool{true, true, false} {
			if err := n.SetDrain(ctx, n.account.ID, w.ID, drain); err != nil {
				t.Fatal(err)
			}
			beat(drain)
			beat(drain)
		}
	},
	"workers of a shared queue are seen by all its accounts and drained by one": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		queue := "shared-" + n.account.Name
		var accounts []int64
		for i := range 2 {
			name := fmt.Sprintf("%s-sharer-%d", n.account.Name, i)
			a, _, err := n.CreateAccount(ctx, job.Account{Name: name, CreatedAt: start}, queue, job.User{Name: name, CreatedAt: start})
			if err != nil {
				t.Fatal(err)
			}
			accounts = append(accounts, a.ID)
		}
		w := n.newWorker("w", queue, 0)
		w.AccountID = accounts[0]
		if _, err := n.Beat(ctx, w); err != nil {
			t.Fatal(err)
		}
		for _, account := range accounts {
			list, err := n.Workers(ctx, account)
			if err != nil || len(list) != 1 || list[0].ID != w.ID || list[0].Destination == 0 {
				t.Errorf("Workers(%d) = %+v, %v", account, list, err)
			}
		}
		if list, err := n.Workers(ctx, n.account.ID); err != nil || len(list) != 0 {
			t.Errorf("an account without that queue sees %+v, %v", list, err)
		}
		if err := n.SetDrain(ctx, accounts[0], w.ID, true); err != nil {
			t.Error(err)
		}
		refused(t, n.SetDrain(ctx, accounts[1], w.ID, false), job.Forbidden, job.WordAccessDenied)
		absent(t, n.SetDrain(ctx, n.account.ID, w.ID, false))
		for _, id := range []string{"unknown", "", "nul\x00", "\xff"} {
			absent(t, n.SetDrain(ctx, accounts[0], id, true))
		}
		if drain, err := n.Beat(ctx, w); err != nil || !drain {
			t.Errorf("Beat = %v, %v, want that the owner's wish stands", drain, err)
		}
	},
	"workers that are silent for long are forgotten": func(t *testing.T, n *tenant) {
		ctx, d := t.Context(), n.destination(t, "old")
		past := start.Add(-1000 * time.Hour) // before what other cases write
		for i, id := range []string{"gone", "stays"} {
			w := n.newWorker(id, d.TaskQueue, 0)
			w.BeatAt = past.Add(time.Duration(i) * time.Second)
			if _, err := n.Beat(ctx, w); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.PurgeWorkers(ctx, past.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		list, err := n.Workers(ctx, n.account.ID)
		if err != nil || len(list) != 1 || !strings.HasPrefix(list[0].ID, "stays@") {
			t.Errorf("Workers = %+v, %v, want the one that stays", list, err)
		}
	},
	"signs of life of one worker at once are all taken": func(t *testing.T, n *tenant) {
		d := n.destination(t, "busy")
		for _, err := range atOnce(10, func(i int) error {
			_, err := n.Beat(t.Context(), n.newWorker("w", d.TaskQueue, i))
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		if list, err := n.Workers(t.Context(), n.account.ID); err != nil || len(list) != 1 {
			t.Errorf("Workers = %+v, %v, want one", list, err)
		}
	},
}
