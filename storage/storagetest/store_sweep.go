package storagetest

import (
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

var sweepCases = map[string]func(*testing.T, *tenant){
	"folders that no row knows are told of when they have been so for long enough": func(t *testing.T, n *tenant) {
		j := n.ended(t, endedAt(110, job.Completed))
		running := n.submit(t)
		gone := job.FolderOfJob(n.account.ID, "69b9209b00000000000000c1")
		folder := func(key string) job.ObjectFolder {
			f, ok := job.FolderOfObject(key)
			if !ok {
				t.Fatalf("%q is no key", key)
			}
			return f
		}
		fenced := folder(job.OutputKey(n.account.ID, j.ID, 5, "a"))
		blob := folder(job.BlobKey(n.account.ID, strings.Repeat("ab", 32)))
		all := []job.ObjectFolder{
			folder(job.LogPrefix(n.account.ID, j.ID) + "1"), fenced, folder(job.OutputKey(n.account.ID, running.ID, 5, "a")), gone, blob,
		}
		now := start.Add(time.Hour)
		old, err := n.Strangers(t.Context(), all, now, now.Add(-time.Minute))
		fine(t, err)
		same(t, "at first sight", len(old), 0)
		now = now.Add(time.Minute)
		old, err = n.Strangers(t.Context(), all, now, now.Add(-time.Minute))
		fine(t, err)
		same(t, "a minute later", old, []job.ObjectFolder{fenced, gone, blob})
		fine(t, n.ForgetStrangers(t.Context(), old))
		old, err = n.Strangers(t.Context(), all, now, now.Add(-time.Minute))
		fine(t, err)
		same(t, "once forgotten", len(old), 0)
	},
	"the mark is kept": func(t *testing.T, n *tenant) {
		m, err := n.SweepMark(t.Context())
		fine(t, err)
		same(t, "at first", m.After, "")
		fine(t, n.SetSweepMark(t.Context(), job.SweepMark{After: "accounts/1/x"}))
		m, err = n.SweepMark(t.Context())
		fine(t, err)
		same(t, "under way", m.After, "accounts/1/x")
		fine(t, n.SetSweepMark(t.Context(), job.SweepMark{Finished: start}))
		m, err = n.SweepMark(t.Context())
		fine(t, err)
		same(t, "at the end", m.After+m.Finished.String(), start.String())
	},
}

func fine(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
