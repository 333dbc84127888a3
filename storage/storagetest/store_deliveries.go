package storagetest

import (
	"fmt"
	"testing"
	"time"

	"waybill/internal/job"
)

func calling(callbacks ...job.Callback) func(*job.Job) {
	return func(j *job.Job) { j.Spec.Callbacks = callbacks }
}

// announced lists "kind event target" of a job's deliveries.
func (n *tenant) announced(t *testing.T, id job.ID) (out []string) {
	t.Helper()
	list, err := n.Deliveries(t.Context(), n.account.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		out = append(out, fmt.Sprintf("%s %s %s", d.Kind, d.Event, d.Target))
	}
	return out
}

// webhook stores a delivery that is no change of a job.
func (n *tenant) webhook(t *testing.T, key string) job.Delivery {
	t.Helper()
	d, err := n.EnqueueDelivery(t.Context(), job.Delivery{
		ID: string(newID()), AccountID: n.account.ID, ConfigID: n.config.ID, Kind: job.DeliveryWebhook, Event: "schedule.fired",
		Target: "https://example.com/x", Method: "PUT", Headers: "v1:headers", Sealed: "v1:secret", Body: "{}", Source: "schedule/1",
		Key: key, Status: job.DeliveryPending, Round: 1, CreatedAt: at(int(n.ticks.Add(1))),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (n *tenant) delivery(t *testing.T, id string) job.Delivery {
	t.Helper()
	d, err := n.Delivery(t.Context(), n.account.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (n *tenant) subscribe(t *testing.T, events job.SubscriptionEvents, change ...func(*job.Subscription)) job.Subscription {
	t.Helper()
	sub := job.Subscription{
		ConfigID: n.config.ID, AccountID: n.account.ID, Active: true, Recipients: []string{"a@example.com", "b@example.com"}, Events: events,
		AttachLog: true, ModifiedAt: at(1), ModifiedBy: n.admin.Ref(),
	}
	for _, c := range change {
		c(&sub)
	}
	stored, err := n.PutSubscription(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

var deliveryCases = map[string]func(*testing.T, *tenant){
	"a change is announced to the callbacks that ask for it": func(t *testing.T, n *tenant) {
		all := job.Callback{URL: "https://all.example", Sealed: "v1:sealed"}
		ends := job.Callback{URL: "https://ends.example", Events: []string{job.EventJobCompleted, job.EventJobFailed, job.EventJobCancelled}}
		j := n.begun(t, calling(all, ends))
		same(t, "while it prepares", n.announced(t, j.ID), []string(nil))
		for range 2 { // a rerun starts the program again; it is told once
			if err := n.Started(t.Context(), n.account.ID, j.ID, 1, "", at(101)); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "started", n.announced(t, j.ID), []string{"webhook job.started https://all.example"})
		if _, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, failed()); err != nil {
			t.Fatal(err)
		}
		list, err := n.Deliveries(t.Context(), n.account.ID, j.ID)
		if err != nil || len(list) != 3 {
			t.Fatalf("%+v, %v", list, err)
		}
		three := 3
		same(t, "delivery", list[1], job.Delivery{
			ID: list[1].ID, AccountID: n.account.ID, ConfigID: n.config.ID, JobID: j.ID, Kind: job.DeliveryWebhook, Event: job.EventJobFailed,
			Target: "https://all.example", Method: "POST", Sealed: "v1:sealed", Status: job.DeliveryPending, Round: 1, CreatedAt: at(110),
			Change: job.StatusChange{
				Status: job.Failed, Reason: job.ReasonError, Taken: true, Attempt: 1, ReturnCode: &three, Worker: "worker-1", ConfigID: n.config.ID,
			},
		})
		if !job.ValidID(list[1].ID) || list[2].Sealed != "" || list[2].Target != "https://ends.example" {
			t.Errorf("deliveries = %+v", list)
		}
		same(t, "another account", n.other(t).announced(t, j.ID), []string(nil))
	},
	"every ending is announced, whoever ends the job": func(t *testing.T, n *tenant) {
		c := calling(job.Callback{URL: "https://x.example", Events: []string{job.EventJobCompleted, job.EventJobFailed, job.EventJobCancelled}})
		same(t, "finish", n.announced(t, n.ended(t, completed(), c).ID), []string{"webhook job.completed https://x.example"})
		settled := n.begun(t, c)
		n.settle(t, settled.ID, 10, lostWorker())
		same(t, "settle", n.announced(t, settled.ID), []string{"webhook job.failed https://x.example"})
		queued := n.submit(t, c)
		if _, err := n.Cancel(t.Context(), n.account.ID, queued.ID, n.admin.Ref(), at(120), 0); err != nil {
			t.Fatal(err)
		}
		same(t, "cancel", n.announced(t, queued.ID), []string{"webhook job.cancelled https://x.example"})
	},
	"a transaction that fails announces nothing": func(t *testing.T, n *tenant) {
		j := n.begun(t, calling(job.Callback{URL: "https://x.example"}))
		_, err := n.Finish(t.Context(), n.account.ID, j.ID, 99, completed())
		refused(t, err, job.Conflict, job.WordStale)
		same(t, "told", n.announced(t, j.ID), []string(nil))
	},
	"mail goes to those who asked for that ending": func(t *testing.T, n *tenant) {
		mail := func(event string) []string { return []string{"mail " + event + " a@example.com, b@example.com"} }
		cancelled := job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped, At: at(110)}
		for _, one := range []struct {
			events job.SubscriptionEvents
			ending job.Outcome
			want   []string
		}{
			{job.OnFailure, failed(), mail(job.EventJobFailed)}, {job.OnFailure, completed(), nil}, {job.OnFailure, cancelled, nil},
			{job.OnSuccess, completed(), mail(job.EventJobCompleted)}, {job.OnSuccess, failed(), nil}, {job.OnSuccess, cancelled, nil},
			{job.OnAlways, completed(), mail(job.EventJobCompleted)}, {job.OnAlways, failed(), mail(job.EventJobFailed)},
			{job.OnAlways, cancelled, mail(job.EventJobCancelled)},
		} {
			n.subscribe(t, one.events)
			same(t, string(one.events)+" "+string(one.ending.Status), n.announced(t, n.ended(t, one.ending).ID), one.want)
		}
		j := n.ended(t, completed())
		list, err := n.Deliveries(t.Context(), n.account.ID, j.ID)
		if err != nil || len(list) != 1 || !list[0].AttachLog {
			t.Errorf("deliveries = %+v, %v", list, err)
		}
		n.subscribe(t, job.OnAlways, func(s *job.Subscription) { s.Active = false })
		same(t, "inactive", n.announced(t, n.ended(t, failed()).ID), []string(nil))
	},
	"a subscription is made, changed, and deleted": func(t *testing.T, n *tenant) {
		_, err := n.Subscription(t.Context(), n.account.ID, n.config.ID)
		absent(t, err)
		made := n.subscribe(t, job.OnSuccess)
		want := job.Subscription{
			ConfigID: n.config.ID, AccountID: n.account.ID, Active: true, Recipients: []string{"a@example.com", "b@example.com"},
			Events: job.OnSuccess, AttachLog: true, CreatedAt: at(1), CreatedBy: n.admin.Ref(), ModifiedAt: at(1), ModifiedBy: n.admin.Ref(),
		}
		same(t, "made", made, want)
		want.Recipients, want.Events, want.AttachLog = []string{"c@example.com"}, job.OnAlways, false
		want.ModifiedAt, want.ModifiedBy = at(2), job.UserRef{ID: 77, Name: "else"}
		changed := n.subscribe(t, job.OnAlways, func(s *job.Subscription) {
			s.Recipients, s.AttachLog, s.ModifiedAt, s.ModifiedBy = want.Recipients, false, want.ModifiedAt, want.ModifiedBy
		})
		same(t, "changed", changed, want)
		got, err := n.Subscription(t.Context(), n.account.ID, n.config.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "read", got, want)
		o := n.other(t)
		_, err = o.Subscription(t.Context(), o.account.ID, n.config.ID)
		absent(t, err)
		absent(t, o.DeleteSubscription(t.Context(), o.account.ID, n.config.ID))
		_, err = o.PutSubscription(t.Context(), job.Subscription{ConfigID: n.config.ID, AccountID: o.account.ID, Events: job.OnAlways})
		absent(t, err)
		if err := n.DeleteSubscription(t.Context(), n.account.ID, n.config.ID); err != nil {
			t.Fatal(err)
		}
		absent(t, n.DeleteSubscription(t.Context(), n.account.ID, n.config.ID))
		n.subscribe(t, job.OnAlways)
		if err := n.DeleteConfigs(t.Context(), n.scope(), []int64{n.config.ID}); err != nil {
			t.Fatal(err)
		}
		_, err = n.Subscription(t.Context(), n.account.ID, n.config.ID)
		absent(t, err)
	},
	"a source has one delivery for a key": func(t *testing.T, n *tenant) {
		if _, found, err := n.LastDelivery(t.Context(), n.account.ID, "schedule/1"); found || err != nil {
			t.Errorf("found %v, %v", found, err)
		}
		first := n.webhook(t, "one")
		same(t, "repeated", n.webhook(t, "one"), first)
		second := n.webhook(t, "two")
		last, found, err := n.LastDelivery(t.Context(), n.account.ID, "schedule/1")
		if err != nil || !found {
			t.Fatalf("found %v, %v", found, err)
		}
		same(t, "last", last, second)
		same(t, "read", n.delivery(t, first.ID), first)
		if _, found, _ := n.LastDelivery(t.Context(), n.account.ID+1000, "schedule/1"); found {
			t.Error("another account sees it")
		}
		_, err = n.Delivery(t.Context(), n.account.ID+1000, first.ID)
		absent(t, err)
		_, err = n.Delivery(t.Context(), n.account.ID, "no id")
		absent(t, err)
	},
	"attempts are written once, to the end of their round": func(t *testing.T, n *tenant) {
		ctx, account := t.Context(), n.account.ID
		d := n.webhook(t, "one")
		if err := n.MarkDelivering(ctx, d.ID, 1, at(20)); err != nil {
			t.Fatal(err)
		}
		first := job.DeliveryAttempt{Number: 1, Round: 1, At: at(21), Duration: time.Second, Code: 500, Error: "HTTP 500", Reply: "oh \x00\xff"}
		if err := n.RecordAttempt(ctx, account, d.ID, first, job.DeliveryDelivering, at(23)); err != nil {
			t.Fatal(err)
		}
		refused(t, n.RecordAttempt(ctx, account, d.ID, first, job.DeliveryDelivering, at(23)), job.Conflict, job.WordStale)
		refused(t, n.RecordAttempt(ctx, account+1000, d.ID, job.DeliveryAttempt{Number: 2, Round: 1}, job.DeliveryFailed, time.Time{}), job.Conflict, job.WordStale)
		want := d
		want.Status, want.Attempts, want.RoundAttempts, want.RoundAt, want.NextAt, want.Code, want.Error =
			job.DeliveryDelivering, 1, 1, at(21), at(23), 500, "HTTP 500"
		same(t, "between attempts", n.delivery(t, d.ID), want)
		_, err := n.Redeliver(ctx, account, d.ID, at(22))
		refused(t, err, job.Conflict, job.WordDeliveryActive)
		second := job.DeliveryAttempt{Number: 2, Round: 1, At: at(23), Duration: time.Second, Code: 204}
		if err := n.RecordAttempt(ctx, account, d.ID, second, job.DeliveryDelivered, time.Time{}); err != nil {
			t.Fatal(err)
		}
		want.Status, want.Attempts, want.RoundAttempts, want.NextAt, want.Code, want.Error, want.FinishedAt =
			job.DeliveryDelivered, 2, 2, time.Time{}, 204, "", at(24)
		same(t, "delivered", n.delivery(t, d.ID), want)
		if err := n.EndDelivery(ctx, d.ID, 1, "ended", at(25)); err != nil {
			t.Fatal(err)
		}
		same(t, "a final one stays", n.delivery(t, d.ID), want)
		again, err := n.Redeliver(ctx, account, d.ID, at(30))
		if err != nil {
			t.Fatal(err)
		}
		want.Status, want.Round, want.RoundAttempts, want.RoundAt, want.FinishedAt = job.DeliveryPending, 2, 0, time.Time{}, time.Time{}
		same(t, "again", again, want)
		late := job.DeliveryAttempt{Number: 3, Round: 1, At: at(31)}
		refused(t, n.RecordAttempt(ctx, account, d.ID, late, job.DeliveryDelivered, time.Time{}), job.Conflict, job.WordStale)
		if err := n.EndDelivery(ctx, d.ID, 2, "ended from outside", at(32)); err != nil {
			t.Fatal(err)
		}
		if got := n.delivery(t, d.ID); got.Status != job.DeliveryFailed || got.Error != "ended from outside" || !got.FinishedAt.Equal(at(32)) {
			t.Errorf("ended = %+v", got)
		}
		attempts, err := n.DeliveryAttempts(ctx, account, d.ID)
		if err != nil {
			t.Fatal(err)
		}
		first.Reply = "oh \uFFFD\uFFFD"
		same(t, "attempts", attempts, []job.DeliveryAttempt{second, first})
		if foreign, err := n.DeliveryAttempts(ctx, account+1000, d.ID); err != nil || len(foreign) != 0 {
			t.Errorf("another account sees %v, %v", foreign, err)
		}
		_, err = n.Redeliver(ctx, account+1000, d.ID, at(40))
		absent(t, err)
		_, err = n.Redeliver(ctx, account, "no id", at(40))
		absent(t, err)
	},
	"the first body stays": func(t *testing.T, n *tenant) {
		j := n.ended(t, completed(), calling(job.Callback{URL: "https://x.example", Events: []string{job.EventJobCompleted}}))
		list, err := n.Deliveries(t.Context(), n.account.ID, j.ID)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		for _, body := range []string{"first", "second"} {
			if kept, err := n.KeepBody(t.Context(), n.account.ID, list[0].ID, body); err != nil || kept != "first" {
				t.Errorf("kept %q, %v", kept, err)
			}
		}
		_, err = n.KeepBody(t.Context(), n.account.ID+1000, list[0].ID, "third")
		absent(t, err)
	},
}

// outboxCases look at the deliveries of all accounts.
var outboxCases = map[string]func(*testing.T, *tenant){
	"what waits and what is underway is found": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		ids := func(list []job.Delivery, err error) (out []string) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				out = append(out, d.ID)
			}
			return out
		}
		a, b, c := n.webhook(t, "a"), n.webhook(t, "b"), n.webhook(t, "c")
		same(t, "pending", ids(n.PendingDeliveries(ctx, "", 2)), []string{a.ID, b.ID})
		same(t, "pending behind one", ids(n.PendingDeliveries(ctx, a.ID, 2)), []string{b.ID, c.ID})
		for i, d := range []job.Delivery{a, b} {
			if err := n.MarkDelivering(ctx, d.ID, 1, at(10+i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.MarkDelivering(ctx, c.ID, 2, at(10)); err != nil { // another round
			t.Fatal(err)
		}
		same(t, "still pending", ids(n.PendingDeliveries(ctx, "", 10)), []string{c.ID})
		same(t, "underway", ids(n.UnderwayDeliveries(ctx, at(100), "", 10)), []string{a.ID, b.ID})
		same(t, "behind one", ids(n.UnderwayDeliveries(ctx, at(100), a.ID, 10)), []string{b.ID})
		same(t, "written before", ids(n.UnderwayDeliveries(ctx, at(11), "", 10)), []string{a.ID})
		if err := n.EndDelivery(ctx, a.ID, 1, "x", at(50)); err != nil {
			t.Fatal(err)
		}
		if err := n.PurgeDeliveries(ctx, at(50)); err != nil {
			t.Fatal(err)
		}
		n.delivery(t, a.ID)
		if err := n.PurgeDeliveries(ctx, at(51)); err != nil {
			t.Fatal(err)
		}
		_, err := n.Delivery(ctx, n.account.ID, a.ID)
		absent(t, err)
		n.delivery(t, b.ID) // not finished
	},
}
