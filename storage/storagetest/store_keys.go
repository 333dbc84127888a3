package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/secret"
)

// keyring is a process of an installation with master keys.
func (n *tenant) keyring(t *testing.T, now func() time.Time, masters ...secret.Keys) (*control.Keyring, secret.Keys, error) {
	t.Helper()
	k := &control.Keyring{
		Store: n, Marks: n, Ring: secret.NewRing(), Now: now, Masters: func() (secret.Masters, error) { return masters, nil },
	}
	root, err := k.Open(t.Context())
	return k, root, err
}

func (n *tenant) mustKeyring(t *testing.T, masters ...secret.Keys) (*control.Keyring, secret.Keys) {
	t.Helper()
	k, root, err := n.keyring(t, func() time.Time { return start }, masters...)
	if err != nil {
		t.Fatal(err)
	}
	return k, root
}

// everywhere stores secrets at every place that has some, and gives what reads them back.
func (n *tenant) everywhere(t *testing.T, box secret.Box, value string) (read func() []string) {
	t.Helper()
	macros := []job.Macro{{Key: "S", Sealed: box.Seal(value), Secure: true}, {Key: "TEXT", Value: "looks like v1:" + strings.Repeat("A", 60)}}
	callbacks := []job.Callback{{URL: "https://example.com", Sealed: box.Seal(value)}}
	c := n.newConfig("config of " + value)
	c.Runtime.Macros, c.Rules.Callbacks = macros, callbacks
	c, err := n.CreateConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	schedule := n.newSchedule(c.ID)
	schedule.Rule.Webhook.Sealed = box.Seal(value)
	if _, err := n.CreateSchedule(t.Context(), schedule); err != nil {
		t.Fatal(err)
	}
	j := n.submit(t, func(j *job.Job) { j.Spec.Macros, j.Spec.Callbacks = macros, callbacks })
	d, err := n.EnqueueDelivery(t.Context(), job.Delivery{
		ID: string(newID()), AccountID: n.account.ID, ConfigID: c.ID, Kind: job.DeliveryWebhook, Event: "schedule.fired", Target: "https://example.com/x",
		Method: "PUT", Headers: box.Seal(value), Sealed: box.Seal(value), Body: "{}", Source: "schedule/1", Key: value, Status: job.DeliveryPending,
		Round: 1, CreatedAt: at(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		t.Helper()
		c, err1 := n.Config(t.Context(), n.account.ID, c.ID)
		s, err2 := n.Schedule(t.Context(), n.account.ID, c.ID)
		j, err3 := n.Job(t.Context(), n.account.ID, j.ID)
		d, err4 := n.Delivery(t.Context(), n.account.ID, d.ID)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		if c.Runtime.Macros[1] != macros[1] {
			t.Errorf("a text that only looks sealed was changed: %q", c.Runtime.Macros[1].Value)
		}
		return []string{
			c.Runtime.Macros[0].Sealed, c.Rules.Callbacks[0].Sealed, s.Rule.Webhook.Sealed, j.Spec.Macros[0].Sealed,
			j.Spec.Callbacks[0].Sealed, d.Headers, d.Sealed,
		}
	}
}

func opens(t *testing.T, k *control.Keyring, value, by string, sealed []string) {
	t.Helper()
	for i, s := range sealed {
		if got, err := k.Box().Open(s); err != nil || got != value {
			t.Errorf("text %d: %q, %v", i, got, err)
		}
		if by != "" && !strings.HasPrefix(s, "v2:"+by+":") {
			t.Errorf("text %d is sealed by %.12s, want %s", i, s, by)
		}
	}
}

var keyCases = map[string]func(*testing.T, *tenant){
	"keys are replaced while others work": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		master := secret.NewKey()
		k, root := n.mustKeyring(t, master)
		other, _ := n.mustKeyring(t, master) // a process that goes on
		first := k.Ring.Newest()
		read := n.everywhere(t, k.Box(), "value")
		opens(t, other, "value", first, read())
		second, err := k.Rotate(ctx)
		if err != nil || second == first || k.Ring.Newest() != second {
			t.Fatal(second, err)
		}
		opens(t, other, "value", first, read())
		conflict(t, k.Drop(ctx, first, true), job.WordStale)

		stop := errors.New("killed") // in the middle; then again
		seen := 0
		err = n.EachSealed(ctx, func(_, text string) (string, error) {
			if seen++; seen > 3 {
				return "", stop
			}
			resealed, _ := k.Box().Reseal(text)
			return resealed, nil
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		opens(t, k, "value", "", read())
		resealed, err := k.Reseal(ctx)
		if err != nil || resealed == 0 || resealed > 7 {
			t.Errorf("%d resealed, %v", resealed, err)
		}
		if again, err := k.Reseal(ctx); err != nil || again != 0 {
			t.Errorf("%d resealed again, %v", again, err)
		}
		opens(t, k, "value", second, read())
		if _, err := other.Box().Open(read()[0]); err == nil {
			t.Error("a key that nobody told it of opens")
		}
		if err := other.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		opens(t, other, "value", second, read())

		conflict(t, k.Drop(ctx, second, true), job.WordStale)
		conflict(t, k.Drop(ctx, first, true), job.WordStale) // made a moment ago
		later, _, err := n.keyring(t, func() time.Time { return start.Add(time.Hour) }, master)
		if err != nil {
			t.Fatal(err)
		}
		conflict(t, later.Drop(ctx, first, false), job.WordStale) // tokens
		absent(t, later.Drop(ctx, "00000000", false))
		if err := later.Drop(ctx, first, true); err != nil {
			t.Fatal(err)
		}
		last, sameRoot := n.mustKeyring(t, master)
		opens(t, last, "value", second, read())
		if sameRoot.Text() != root.Text() {
			t.Error("the root key has changed")
		}
		if last.Ring.Has(first) {
			t.Error("the key is still there")
		}
	},
	"a master key is replaced": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		old, made, stranger := secret.NewKey(), secret.NewKey(), secret.NewKey()
		k, root := n.mustKeyring(t, old)
		read := n.everywhere(t, k.Box(), "value")
		_, _, err := n.keyring(t, time.Now, stranger)
		if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "it is "+old.ID()+" that is needed, and "+stranger.ID()+" is here") {
			t.Errorf("a stranger: %v", err)
		}
		conflict(t, n.DropMaster(ctx, old.ID()), job.WordStale)
		both, _ := n.mustKeyring(t, made, old)
		if added, err := both.Adopt(ctx); err != nil || !slices.Equal(added, []string{made.ID()}) {
			t.Fatal(added, err)
		}
		if added, err := both.Adopt(ctx); err != nil || len(added) != 0 {
			t.Errorf("adopted twice: %v, %v", added, err)
		}
		if _, err := k.Rotate(ctx); job.CodeOf(err) != job.Conflict {
			t.Errorf("a key that others could not open was made: %v", err)
		}
		next, nextRoot := n.mustKeyring(t, made)
		opens(t, next, "value", "", read())
		if nextRoot.Text() != root.Text() {
			t.Error("the root key has changed")
		}
		if err := n.DropMaster(ctx, old.ID()); err != nil {
			t.Fatal(err)
		}
		if err := k.Refresh(ctx); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), made.ID()) {
			t.Errorf("a process with the old key only: %v", err)
		}
		opens(t, k, "value", "", read()) // with what it knows
		if _, _, err = n.keyring(t, time.Now, old); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), made.ID()) {
			t.Errorf("a start with the old key only: %v", err)
		}
	},
	"of processes that begin at once all have the same keys": func(t *testing.T, n *tenant) {
		master := secret.NewKey()
		results := make(chan string, 4)
		for range cap(results) {
			go func() {
				k := &control.Keyring{
					Store: n, Marks: n, Ring: secret.NewRing(), Now: time.Now, Masters: func() (secret.Masters, error) { return secret.Masters{master}, nil },
				}
				root, err := k.Open(context.WithoutCancel(t.Context()))
				results <- fmt.Sprint(k.Ring.Newest(), root.Text(), err)
			}()
		}
		want := fmt.Sprint(master.ID(), master.Text(), nil)
		for range cap(results) {
			if got := <-results; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	},
	"a text that changes while it is sealed anew keeps the change": func(t *testing.T, n *tenant) {
		k, _ := n.mustKeyring(t, secret.NewKey())
		c := n.newConfig("changing")
		c.Runtime.Macros = []job.Macro{{Key: "S", Sealed: k.Box().Seal("value"), Secure: true}}
		c, err := n.CreateConfig(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		err = n.EachSealed(t.Context(), func(place, text string) (string, error) {
			if place != "job_configs.runtime" {
				return text, nil
			}
			was := c.ModifiedAt
			c.Runtime.Macros[0].Sealed, c.ModifiedAt = k.Box().Seal("changed"), at(5)
			if err := n.UpdateConfig(t.Context(), c, was); err != nil {
				t.Error(err)
			}
			return strings.Replace(text, "v2:", "v9:", 1), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		now, err := n.Config(t.Context(), n.account.ID, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		opens(t, k, "changed", "", []string{now.Runtime.Macros[0].Sealed})
	},
}

func conflict(t *testing.T, err error, word job.Word) {
	t.Helper()
	if job.CodeOf(err) != job.Conflict || job.WordOf(err) != word {
		t.Errorf("error %v, want a conflict, %s", err, word)
	}
}
