package storagetest

import (
	"testing"
	"time"

	"waybill/internal/job"
)

var accountCases = map[string]func(*testing.T, *tenant){
	"what an account sets comes back, and nothing else changes": func(t *testing.T, n *tenant) {
		set := n.account
		set.Name, set.Destination = "ignored", 999
		set.Description, set.MaxTimeout, set.UserDomains = "Ä", 90*time.Minute, []string{"example.com"}
		set.Retention = job.Retention{MaxAge: time.Hour, MaxCount: 3}
		got, err := n.UpdateAccount(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		set.Name, set.Destination, set.Change = n.account.Name, n.account.Destination, n.account.Change+1
		same(t, "stored", got, set)
		read, err := n.Account(t.Context(), n.account.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "read", read, set)
	},
	"of two writers who read the same account the second is told": func(t *testing.T, n *tenant) {
		if _, err := n.UpdateAccount(t.Context(), n.account); err != nil {
			t.Fatal(err)
		}
		_, err := n.UpdateAccount(t.Context(), n.account)
		refused(t, err, job.Conflict, job.WordStale)
	},
	"an absent account is not found": func(t *testing.T, n *tenant) {
		_, err := n.UpdateAccount(t.Context(), job.Account{ID: 999_999})
		absent(t, err)
	},
	"text that can not be stored is refused": func(t *testing.T, n *tenant) {
		bad := n.account
		bad.Description = "a\x00b"
		_, err := n.UpdateAccount(t.Context(), bad)
		refused(t, err, job.Invalid, job.WordInvalidField)
	},
}
