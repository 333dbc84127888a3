package storagetest

import (
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

func (n *tenant) session(t *testing.T, name string, user int64, created int) job.DoorSession {
	t.Helper()
	d := job.DoorSession{
		Hash: strings.Repeat("0", 32) + n.account.Name + name, UserID: user, AccountID: n.account.ID, CreatedAt: at(created), UsedAt: at(created),
	}
	if err := n.CreateDoorSession(t.Context(), d, ""); err != nil {
		t.Fatal(err)
	}
	return d
}

var doorSessionCases = map[string]func(*testing.T, *tenant){
	"a session is found by its hash, with its last use": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		d := n.session(t, "a", n.admin.ID, 0)
		for _, second := range []int{90, 60} { // the later one stays
			if err := n.UseDoorSession(ctx, d.Hash, at(second)); err != nil {
				t.Fatal(err)
			}
		}
		d.UsedAt = at(90)
		got, err := n.DoorSession(ctx, d.Hash)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "session", got, d)
		_, err = n.DoorSession(ctx, "unknown")
		absent(t, err)
	},
	"an ended session stays ended": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		d := n.session(t, "b", n.admin.ID, 0)
		for _, second := range []int{5, 7} { // the first end stays
			if err := n.EndDoorSession(ctx, d.Hash, at(second)); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.UseDoorSession(ctx, d.Hash, at(60)); err != nil {
			t.Fatal(err)
		}
		d.EndedAt = at(5)
		got, err := n.DoorSession(ctx, d.Hash)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "session", got, d)
		if err := n.EndDoorSession(ctx, "unknown", at(1)); err != nil {
			t.Errorf("an unknown one: %v", err)
		}
	},
	"all sessions of a user, or of an account, are ended": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		mine, other := n.session(t, "c", n.admin.ID, 0), n.session(t, "d", n.colleague(t, "eve", false).ID, 0)
		if ended, err := n.EndDoorSessions(ctx, n.account.ID, n.admin.ID, at(1)); err != nil || ended < 1 {
			t.Fatalf("%d, %v", ended, err)
		}
		if got, _ := n.DoorSession(ctx, mine.Hash); got.EndedAt.IsZero() {
			t.Error("the user's session lives")
		}
		if got, _ := n.DoorSession(ctx, other.Hash); !got.EndedAt.IsZero() {
			t.Error("another user's session was ended")
		}
		if ended, err := n.EndDoorSessions(ctx, n.account.ID+1_000_000, 0, at(2)); err != nil || ended != 0 {
			t.Errorf("another account: %d, %v", ended, err)
		}
		if ended, err := n.EndDoorSessions(ctx, n.account.ID, 0, at(2)); err != nil || ended != 1 {
			t.Errorf("the account: %d, %v", ended, err)
		}
	},
	"a new password ends sessions, too": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		d := n.session(t, "e", n.admin.ID, 0)
		if _, err := n.SetPassword(ctx, n.account.ID, n.admin.ID, "hash", at(3)); err != nil {
			t.Fatal(err)
		}
		if got, _ := n.DoorSession(ctx, d.Hash); !got.EndedAt.Equal(at(3)) {
			t.Errorf("ended %s", got.EndedAt)
		}
	},
}

var doorSessionPurgeCases = map[string]func(*testing.T, *tenant){
	"sessions that are over are purged": func(t *testing.T, n *tenant) {
		ctx := t.Context()
		dead := []job.DoorSession{n.session(t, "idle", n.admin.ID, 0), n.session(t, "old", n.admin.ID, 0), n.session(t, "ended", n.admin.ID, 0)}
		now := start.Add(control.DoorSessionLife)
		alive := n.session(t, "alive", n.admin.ID, int(control.DoorSessionLife.Seconds())-60)
		if err := n.UseDoorSession(ctx, dead[1].Hash, now); err != nil {
			t.Fatal(err)
		}
		if err := n.EndDoorSession(ctx, dead[2].Hash, now); err != nil {
			t.Fatal(err)
		}
		if err := n.PurgeExpired(ctx, now); err != nil {
			t.Fatal(err)
		}
		for _, d := range dead {
			_, err := n.DoorSession(ctx, d.Hash)
			absent(t, err)
		}
		if _, err := n.DoorSession(ctx, alive.Hash); err != nil {
			t.Error(err)
		}
	},
}
