package diem

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"waybill/internal/job"
)

// The vendor's words for the state of a job.
const (
	pending   = "Pending"
	submitted = "Submitted"
	running   = "Running"
	completed = "Completed"
	failed    = "Failed"
	stopped   = "Stopped"
)

// byStatus is the table of diem.md, 3. The empty status is that of a config that never ran.
var byStatus = map[job.Status]string{
	"": pending, job.Queued: submitted, job.Running: running, job.Cancelling: running, job.Completed: completed, job.Failed: failed, job.Cancelled: stopped,
}

// statusesOf are the statuses that have a word for which is holds.
func statusesOf(is func(word string) bool) (list []any) {
	for _, s := range append([]job.Status{""}, job.Statuses...) {
		if is(byStatus[s]) {
			list = append(list, s)
		}
	}
	return list
}

// runby says what started a run: by the API and by hand is a user, by a door of programs a call.
func runby(t job.Trigger) string {
	switch t {
	case job.TriggerSchedule:
		return "schedule"
	case job.TriggerAPI, job.TriggerRetry:
		return "user"
	}
	return "apicall"
}

// kindOf are type and executor of a config or run that reported so many steps.
func kindOf(steps int) (kind, executor string) {
	if steps > 1 {
		return "pipeline", "pipeline"
	}
	return "pycustom", "nodepy"
}

// transid is the id of the call that started a run; one that came in by another door has one of its own, the same each time.
func transid(j job.Job) string {
	if j.ID == "" {
		return ""
	}
	if id := j.Spec.Caller.Request; id != "" {
		return id
	}
	sum := sha256.Sum256([]byte("waybill run " + j.ID))
	id, err := uuid.FromBytes(sum[:16])
	if err != nil { // only for another number of bytes
		panic(err)
	}
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8, the variant of RFC 9562
	return id.String()
}

// date is a time in RFC 3339, UTC, with milliseconds; nil for none.
func date(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}

// length is how long a run has taken by now; ok is false before it began.
func length(j job.Job, now time.Time) (d time.Duration, ok bool) {
	switch {
	case j.StartedAt.IsZero():
		return 0, j.Status.Final()
	case j.FinishedAt.IsZero():
		return max(0, now.Sub(j.StartedAt)), true
	}
	return max(0, j.FinishedAt.Sub(j.StartedAt)), true
}

// clock writes a length as HH:MM:SS; nil for none.
func clock(d time.Duration, ok bool) *string {
	if !ok {
		return nil
	}
	n := int64(d.Round(time.Second) / time.Second)
	text := fmt.Sprintf("%02d:%02d:%02d", n/3600, n/60%60, n%60)
	return &text
}

// stepStatus is the word for a step.
func stepStatus(s job.Status) string {
	if word, known := byStatus[s]; known {
		return word
	}
	return pending
}

func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
