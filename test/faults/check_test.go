package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// check asks what must be true in the end. Every answer that is wrong names the job.
type check struct {
	*system
	*ledger
	state []*jobState
	runs  []execution

	jobs     map[string]*jobState
	runsOf   map[string][]execution
	kindOf   map[string]*kind
	mistakes []mistake
}

// mistake is a wrong answer. Those of one kind have the same format.
type mistake struct{ kind, job, text string }

func (c *check) wrongWith(j *jobState, format string, args ...any) {
	text := fmt.Sprintf("job %s (%s, %s): ", j.id, c.nameOf(j), j.ending()) + fmt.Sprintf(format, args...)
	c.mistakes = append(c.mistakes, mistake{format, j.id, text})
}

// wrong is about no job of the table.
func (c *check) wrong(format string, args ...any) {
	c.mistakes = append(c.mistakes, mistake{format, "", fmt.Sprintf(format, args...)})
}

func (c *check) nameOf(j *jobState) string {
	if k := c.kindOf[j.config]; k != nil {
		return k.name
	}
	return "config " + j.config
}

func (c *check) all() {
	c.jobs, c.runsOf, c.kindOf = map[string]*jobState{}, map[string][]execution{}, byConfig(c.kinds)
	for _, j := range c.state {
		c.jobs[j.id] = j
	}
	for _, r := range c.runs {
		c.runsOf[r.job] = append(c.runsOf[r.job], r)
	}
	c.nothingLost()
	for _, j := range c.state {
		c.endedOnce(j)
		c.attemptsOf(j)
		c.executionsOf(j)
		c.outcomeOf(j)
		c.countersOf(j)
		c.recordsRolledUp(j)
	}
	c.families()
	c.lanes()
	for _, left := range c.jobFolders() {
		c.wrong("a job folder is left after everything has stopped: %s", left)
	}
	if pids := c.processesLeft(); len(pids) > 0 {
		c.wrong("processes of jobs are left: %v", pids)
	}
	c.mistakes = append(c.mistakes, c.problems...)
}

// nothingLost: every job whose id was given to a client is there.
func (c *check) nothingLost() {
	for _, id := range c.order {
		if c.jobs[id] == nil {
			c.wrong("job %s was accepted and is not in the table", id)
		}
	}
	for id := range c.runsOf {
		if c.jobs[id] == nil {
			c.wrong("a program ran for job %s, which is not in the table", id)
		}
	}
}

// endedOnce: one final status, told once, and nothing after it.
func (c *check) endedOnce(j *jobState) {
	if !j.final() {
		c.wrongWith(j, "it has not ended")
	}
	if j.final() && j.finished.IsZero() {
		c.wrongWith(j, "it has ended and has no time of its end")
	}
	ended := 0
	last := ""
	for _, e := range j.events {
		if e.kind != "status" {
			continue
		}
		if ended > 0 && !final(e.status.Status) {
			c.wrongWith(j, "it became %s after it had ended", e.status.Status)
		}
		if last = e.status.Status; final(last) {
			ended++
		}
	}
	if ended != 1 {
		c.wrongWith(j, "its history tells %d endings", ended)
	}
	if last != j.status {
		c.wrongWith(j, "its history ends with status %q", last)
	}
}

// attemptsOf: numbered from 1, all closed, and each but the last ended in a way that lets another follow.
func (c *check) attemptsOf(j *jobState) {
	if len(j.attempts) != j.attempt {
		c.wrongWith(j, "it has begun %d attempts and tells of %d", j.attempt, len(j.attempts))
	}
	failures := 0
	for n, a := range j.attempts {
		if a.number != n+1 {
			c.wrongWith(j, "its attempt in place %d has number %d", n+1, a.number)
		}
		if a.ended.IsZero() {
			c.wrongWith(j, "its attempt %d has not ended", a.number)
		}
		if p := c.promises[j.id]; p != nil && !p.stopped.IsZero() && a.started.After(p.stopped) {
			c.wrongWith(j, "its attempt %d began at %s, and its cancel had been accepted at %s", a.number, clock(a.started), clock(p.stopped))
		}
		lastOne := n == len(j.attempts)-1
		switch {
		case a.reason == "error":
			failures++
		case !lastOne && a.reason != "worker_lost":
			c.wrongWith(j, "its attempt %d ended with reason %q and yet another followed", a.number, a.reason)
		}
	}
	if k := c.kindOf[j.config]; k != nil && failures > max(k.attempts, 1) {
		c.wrongWith(j, "it failed %d times, %d are allowed", failures, max(k.attempts, 1))
	}
}

// settling is how long the process of a job may be there, or even begin, after somebody else than its worker ended the job:
// the worker learns of it with its next heartbeat.
const settling = 20 * time.Second

// executionsOf: an attempt runs the program at most once, and no program begins after the job's end.
func (c *check) executionsOf(j *jobState) {
	seen := map[int]bool{}
	for _, r := range c.runsOf[j.id] {
		if seen[r.attempt] {
			c.wrongWith(j, "attempt %d ran its program twice", r.attempt)
		}
		seen[r.attempt] = true
		if r.attempt < 1 || r.attempt > len(j.attempts) {
			c.wrongWith(j, "a program ran as attempt %d, which is not recorded", r.attempt)
		}
		late := time.Duration(0)
		if j.status != "completed" {
			late = settling
		}
		if j.final() && r.began.After(j.finished.Add(late)) {
			c.wrongWith(j, "attempt %d began %s after the job's end", r.attempt, r.began.Sub(j.finished))
		}
		if r.said.IsZero() && r.attempt == j.attempt && j.status == "completed" {
			c.wrongWith(j, "it completed, and the program of its last attempt never came to its end")
		}
		if r.code == 97 {
			c.wrongWith(j, "its program could not do what the test wants; see its log")
		}
	}
	if k := c.kindOf[j.config]; k != nil && k.fails && len(c.runsOf[j.id]) > 1 {
		c.wrongWith(j, "its worker was lost, and its program must not have run again")
	}
	if j.status == "completed" && !seen[j.attempt] {
		c.wrongWith(j, "it completed, and no program was seen in its last attempt")
	}
	if j.status == "cancelled" && !j.taken && len(c.runsOf[j.id]) > 0 {
		c.wrongWith(j, "no worker had it, and yet its program ran")
	}
}

// outcomeOf: it ended as its plan says, unless somebody or something is known to have come between.
func (c *check) outcomeOf(j *jobState) {
	k := c.kindOf[j.config]
	if k == nil || !j.final() {
		return
	}
	allowed := c.planned(j, k)
	p, known := c.promises[j.id]
	if known && p.asked || !known { // a job nobody got the id of can not have been asked for, but a list may have shown it
		allowed = append(allowed, "cancelled/stopped")
	}
	if c.terminated["job-"+j.id] || c.terminated["retry-"+j.id] {
		allowed = append(allowed, "failed/terminated", "cancelled/terminated")
	}
	if k.fails {
		allowed = append(allowed, "failed/worker_lost")
		if strings.Contains(j.message, "could not be prepared") {
			allowed = append(allowed, "failed/error")
		}
	}
	if !slices.Contains(allowed, j.ending()) {
		c.wrongWith(j, "it should have ended as %s (plan %s, message %q)", strings.Join(allowed, " or "), j.plan, j.message)
	}
	if j.ending() == "failed/error" && j.code.Valid && int(j.code.Int64) != j.plan.Code {
		c.wrongWith(j, "its exit code is %d, its plan says %d", j.code.Int64, j.plan.Code)
	}
}

// planned is how the job ends when nothing comes between.
func (c *check) planned(j *jobState, k *kind) []string {
	limit := max(k.attempts, 1)
	told := 0
	for _, r := range c.runsOf[j.id] {
		if !r.said.IsZero() && r.code != 0 {
			told++
		}
	}
	recorded := 0
	for _, a := range j.attempts {
		if a.reason == "error" {
			recorded++
		}
	}
	completes, fails := false, false
	// Executions whose worker was lost after they had told their exit code took failures off the plan.
	for lost := range max(told-recorded, 0) + 1 {
		failure := 0
		for failure < limit && j.plan.exits(lost+failure) != 0 {
			failure++
			if k.attempts > 0 && j.plan.Code == nonRetryable {
				failure = limit
			}
		}
		completes = completes || failure < limit
		fails = fails || failure >= limit
	}
	var allowed []string
	if completes {
		allowed = append(allowed, "completed")
	}
	if fails {
		allowed = append(allowed, "failed/error")
	}
	return allowed
}

// ofOneKind is how many mistakes of one kind are told; all of them are in the file.
const ofOneKind = 8

// report tells what is wrong, and all that is known of the first jobs it is wrong with.
func (c *check) report(t *testing.T) {
	t.Helper()
	told, kinds := map[string]bool{}, map[string]int{}
	for _, m := range c.mistakes {
		if kinds[m.kind]++; kinds[m.kind] > ofOneKind {
			continue
		}
		t.Error(m.text)
		if j := c.jobs[m.job]; j != nil && kinds[m.kind] == 1 && !told[m.job] {
			told[m.job] = true
			t.Log(c.dossier(j))
		}
	}
	for kind, n := range kinds {
		if n > ofOneKind {
			t.Errorf("%q was said of %d jobs in all", kind, n)
		}
	}
	if t.Failed() {
		c.keep(t)
	}
}

// keep writes down all mistakes and all that is known of every job, beside the logs.
func (c *check) keep(t *testing.T) {
	var b strings.Builder
	for _, m := range c.mistakes {
		b.WriteString(m.text + "\n")
	}
	for _, j := range c.state {
		b.WriteString(c.dossier(j))
	}
	if err := os.WriteFile(filepath.Join(c.dir, "jobs.txt"), []byte(b.String()), 0o600); err != nil {
		t.Error(err)
	}
}

// clock shows a moment.
func clock(at time.Time) string { return at.UTC().Format("15:04:05.000000") }

// dossier is all that is known of a job.
func (c *check) dossier(j *jobState) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "    "+format+"\n", args...) }
	fmt.Fprintf(&b, "job %s, %s, plan %s\n", j.id, c.nameOf(j), j.plan)
	line("scheduled %s, finished %s, worker %s, message %q", clock(j.scheduled), clock(j.finished), j.worker, j.message)
	if j.retryOf != "" {
		line("retry %d of %s, root %s, scope %s, rolled up %t", j.retryNumber, j.retryOf, j.root, j.scope, j.rolledUp)
	}
	if j.lane != "" {
		line("lane %s, seq %d", j.lane, j.laneSeq)
	}
	for _, e := range j.events {
		line("event %s %s %s", clock(e.at), e.kind, e.data)
	}
	for _, a := range j.attempts {
		line("attempt %d %s to %s, %q %s %s", a.number, clock(a.started), clock(a.ended), a.reason, a.worker, a.message)
	}
	for _, r := range c.runsOf[j.id] {
		line("seen: attempt %d, process %d, %s to %s, exit code told %s: %d", r.attempt, r.pid, clock(r.began),
			clock(r.ended), clock(r.said), r.code)
	}
	if p := c.promises[j.id]; p != nil {
		line("cancel asked %t, first seen as %q", p.asked, p.final)
	}
	for _, id := range []string{"job-" + j.id, "retry-" + j.id} {
		if c.terminated[id] {
			line("%s was terminated", id)
		}
	}
	return b.String()
}

// enough is how many jobs make it certain that everything of the mix has come up.
const enough = 300

// summary counts how the jobs ended.
func (c *check) summary() string {
	counts := map[string]int{}
	again, overlapping, waited, raised, resolved, completed := 0, 0, 0, 0, 0, 0
	for _, j := range c.state {
		counts[j.ending()]++
		raised += len(j.errors)
		resolved += int(j.resolved)
		if j.laneSeq > 0 {
			waited++
		}
		if j.resolvedBy != "" {
			completed++
		}
		if j.attempt > 1 {
			again++
		}
	}
	for _, runs := range c.runsOf {
		for n := 1; n < len(runs); n++ {
			if runs[n].began.Before(runs[n-1].ended) {
				overlapping++
			}
		}
	}
	for what, n := range map[string]int{
		"second attempts": again, "waiting in lanes": waited, "results completed by retries": completed, "record errors": raised,
		"cancels": counts["cancelled/stopped"],
	} {
		if n == 0 && len(c.state) >= enough {
			c.wrong("a run of %d jobs has shown nothing about %s", len(c.state), what)
		}
	}
	var words []string
	for ending, n := range counts {
		words = append(words, fmt.Sprintf("%d %s", n, ending))
	}
	slices.Sort(words)
	return fmt.Sprintf("%d jobs: %s; %d with more than one attempt, %d attempts began beside the one before; %d waited in a lane; "+
		"%d completed by retries; %d record errors, %d resolved",
		len(c.state), strings.Join(words, ", "), again, overlapping, waited, completed, raised, resolved)
}
