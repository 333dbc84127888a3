package diem

import (
	"context"
	"net/http"
	"strings"

	"waybill/internal/control"
	"waybill/internal/job"
)

// What apijob and jobactions can be asked for.
const (
	verbStart  = "start"
	verbStop   = "stop"
	verbStatus = "status"
)

// action is what the call asks for, as it was sent: the body wins over the query.
func (c *call) action() string {
	switch {
	case c.args.has("action"):
		return c.args.text("action")
	case c.HTTP.URL.Query().Get("action") != "":
		return c.HTTP.URL.Query().Get("action")
	}
	return verbStart
}

// verb is action as apijob and jobactions understand it.
func (c *call) verb() string {
	return strings.ToLower(c.action())
}

// notAMethod is the answer to a verb that is none.
func notAMethod(action string) answer {
	return answer{json: struct {
		Message string `json:"message"`
		Action  string `json:"action"`
	}{"not a valid method", action}}
}

// apijob starts and stops a config's job and tells how it stands (diem.md, 4.1).
func (d *door) apijob(ctx context.Context, c *call) (answer, error) {
	id, verb := c.args.id("id"), c.verb()
	if verb != verbStart && verb != verbStop && verb != verbStatus {
		return notAMethod(c.action()), nil
	}
	if !job.ValidID(id) {
		return notFound(c.args.text("id"), nil), nil
	}
	var a answer
	var err error
	named := c.args.text("id")
	asked := named
	switch verb {
	case verbStart:
		a, err = d.start(ctx, c, id)
	case verbStop:
		if c.args.has("jobid") {
			asked = c.args.text("jobid")
		}
		a, err = d.stop(ctx, c, id)
	case verbStatus:
		if c.args.has("jobid") {
			asked = c.args.text("jobid")
		}
		a, err = d.status(ctx, c, id)
	}
	switch job.CodeOf(err) {
	case job.NotFound, job.Forbidden:
		if asked != named { // the run is not there, or not even its document
			if _, gone := d.server.Configs.For(ctx, c.Actor, id, job.View); gone != nil {
				if _, gone = d.server.Configs.For(ctx, c.Actor, id, job.Execute); gone != nil {
					asked = named
				}
			}
		}
		return notFound(asked, err), nil
	}
	return a, err
}

// notFound is the answer about a document or run that is not there, not the caller's account's, or not to be seen by the caller.
func notFound(id string, cause error) answer {
	if cause == nil {
		cause = job.Errorf(job.NotFound, job.WordNotFound, "Document not found")
	}
	return answer{json: failure{"document " + id + " could not be found"}, cause: cause}
}

func (d *door) start(ctx context.Context, c *call, id string) (answer, error) {
	made, err := d.server.Runs.StartOnce(ctx, c.Actor, control.SubmitRequest{
		Config: id, Door: job.TriggerDIEM, Caller: job.Caller{Request: c.ID, Reference: bounded(c.args.word("jobid"))},
	})
	switch {
	case job.WordOf(err) == job.WordConcurrencyLimit || job.WordOf(err) == job.WordRunActive:
		return answer{json: message{"job already running"}}, nil
	case job.WordOf(err) == job.WordInactiveConfig:
		return answer{json: failure{"document " + id + " is not active"}, cause: err}, nil
	case err != nil:
		if a, so := c.nothingToRun(err); so {
			return a, nil
		}
		return answer{}, err
	case made.Active || made.Skipped:
		return answer{json: message{"job already running"}, run: made.Job.ID}, nil
	}
	return answer{json: message{"job started"}, run: made.Job.ID}, nil
}

// bounded cuts a text that is stored and has no effect.
func bounded(text string) string {
	r := []rune(text)
	return strings.ReplaceAll(string(r[:min(len(r), maxID)]), "\x00", "")
}

// run is the one run that a call is about, "" for none.
func (c *call) run() string {
	if !c.args.has("jobid") {
		return ""
	}
	return c.args.id("jobid")
}

func (d *door) stop(ctx context.Context, c *call, id string) (answer, error) {
	j, stopped, err := d.server.Runs.Stop(ctx, c.Actor, id, c.run())
	if err != nil {
		return answer{}, err
	}
	if stopped {
		return answer{json: message{"job stopped"}, run: j.ID}, nil
	}
	return answer{json: message{"job already stopped"}, run: j.ID}, nil
}

func (d *door) status(ctx context.Context, c *call, id string) (answer, error) {
	j, found, err := d.server.Runs.Follow(ctx, c.Actor, id, c.run())
	if err != nil || !found {
		return answer{json: message{pending}}, err
	}
	return answer{json: message{byStatus[j.Status]}, run: j.ID}, nil
}

// jobactions starts and stops from the vendor's own pages (diem.md, 4.5).
func (d *door) jobactions(ctx context.Context, c *call) (a answer, err error) {
	id := c.args.id("id")
	if !job.ValidID(id) {
		return absent(c.args.text("id")), nil
	}
	switch c.verb() {
	case verbStart:
		a, err = d.start(ctx, c, id)
	case verbStop:
		a, err = d.stop(ctx, c, id)
	default:
		return notAMethod(c.action()), nil
	}
	switch job.CodeOf(err) {
	case job.NotFound, job.Forbidden:
		a := absent(c.args.text("id"))
		a.cause = err
		return a, nil
	}
	if _, done := a.json.(message); err == nil && done && a.status == 0 {
		a.json = true
	}
	return a, err
}

// absent is the answer of the functions for pages about a document that is not there.
func absent(id string) answer {
	return answer{
		status: http.StatusNotFound, json: message{"document " + id + " not found"}, cause: job.Errorf(job.NotFound, job.WordNotFound, "Document not found"),
	}
}
