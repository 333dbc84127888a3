package control

import (
	"fmt"
	"testing"

	"waybill/internal/job"
)

// One wrong password for ann and seven for bob, from one address: each is told of their own, and guesses at names are one kind.
func TestRefusedCallsAreCountedForWhomTheyName(t *testing.T) {
	t.Parallel()
	refused := func(user int64, name string, shown job.Credential) job.AuditEntry {
		return job.AuditEntry{
			AccountID: 1, ActorID: user, Actor: name, Action: "login", Address: "192.0.2.1", Result: job.AuditDenied, Reason: job.WordBadCredentials, Count: 1, Credential: shown,
		}
	}
	var g auditGate
	counts := map[string]int{}
	try := func(e job.AuditEntry) {
		if g.pass(e) {
			counts[e.Actor+e.Credential.ID]++
		}
	}
	try(refused(1, "ann", job.Credential{}))
	for range 7 {
		try(refused(2, "bob", job.Credential{}))
	}
	for _, id := range []string{"k1", "k2", "k2"} {
		try(refused(3, "cyd", job.Credential{Kind: job.CredentialKey, ID: id}))
	}
	for range 30 {
		try(refused(0, "", job.Credential{}))
	}
	if counts[""] != 1 || counts["bob"] != 1 {
		t.Errorf("stored at once: %v", counts)
	}
	for _, e := range g.take() {
		counts[e.Actor+e.Credential.ID] += e.Count
	}
	if want := fmt.Sprint(map[string]int{"": 30, "ann": 1, "bob": 7, "cydk1": 1, "cydk2": 2}); fmt.Sprint(counts) != want {
		t.Errorf("%v, want %s", counts, want)
	}
	stored := 0
	for user := range int64(1000) {
		if g.pass(refused(user+1, "u", job.Credential{})) {
			stored++
		}
	}
	total := stored
	for _, e := range g.take() {
		total += e.Count
	}
	if stored != gateKinds || total != 1000 {
		t.Errorf("of 1000 users %d were stored at once, %d told of", stored, total)
	}
}
