package diem

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// Name is the door's.
const Name = "diem"

// base is where the door is; what it serves lies below /api.
const base = "/etl-mgr"

// door is the DIEM door on one server.
type door struct {
	server    *api.Server
	self      api.Door
	functions map[string]function
}

// function is one of the door's.
type function struct {
	scope   job.KeyScope // that a key needs, unless the call says otherwise
	action  string       // in the audit log; empty: it changes nothing
	kind    string       // of what it acts on
	uploads bool         // it reads a multipart body itself
	serve   func(context.Context, *call) (answer, error)
}

// Register adds the door to the server.
func Register(s *api.Server) error {
	if s == nil || s.Runs == nil || s.Calls == nil {
		return errors.New("diem: a server with Runs and Calls is needed")
	}
	d := &door{server: s}
	d.self = api.Door{Name: Name, Bases: []string{base}, Fault: func(r *api.Request, err error) api.Fault {
		r.Answered(err)
		return d.strayFault(r, err)
	}, Stray: d.serve("")} // every call shows a key, is counted and has its headers, also one to what is not there
	d.functions = map[string]function{
		"apijob":       {scope: job.ScopeRun, action: "job.start", kind: "jobconfig", serve: d.apijob},
		"services":     {scope: job.ScopeRun, action: "job.start", kind: "jobconfig", serve: d.services},
		"jobactions":   {scope: job.ScopeRun, action: "job.start", kind: "jobconfig", serve: d.jobactions},
		"jobs":         {scope: job.ScopeRead, serve: d.jobs},
		"jobdetail":    {scope: job.ScopeRead, serve: d.jobdetail},
		"joblog":       {scope: job.ScopeRead, serve: d.joblog},
		"pipelinejobs": {scope: job.ScopeRead, serve: d.pipelinejobs},
		"getfiles":     {scope: job.ScopeRead, serve: d.getfiles},
		"filedownload": {scope: job.ScopeRead, serve: d.filedownload},
		"fileupload":   {scope: job.ScopeWrite, action: "file.upload", kind: "account", uploads: true, serve: d.fileupload},
		"filedelete":   {scope: job.ScopeWrite, action: "file.delete", kind: "account", serve: d.filedelete},
	}
	made := s.AddDoor(d.self, d.document())
	if err := api.AddExamples(made.OpenAPI(), examples()...); err != nil {
		return err
	}
	for name := range d.functions {
		d.handle("/api/"+name, d.serve(name))
	}
	d.handle("/api/:function", d.serve(""))
	return nil
}

// methods are all that a function answers: the vendor's looks at none of them.
var methods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions,
}

func (d *door) handle(path string, h gin.HandlerFunc) {
	for _, method := range methods {
		d.server.Handle(d.self, method, path, h)
	}
}

// call is one call of the door.
type call struct {
	*api.Request
	gin  *gin.Context
	args args
	key  *job.KeyGrant
	word string // of the function
}

// serve answers calls of a function; the empty name is one that is not there. The order of the checks is diem.md's, 1.
func (d *door) serve(name string) gin.HandlerFunc {
	return func(g *gin.Context) {
		r := api.RequestOf(g.Request.Context())
		h := g.Writer.Header()
		r.ID = ownID(g.Request.Header.Get(headerRequest), "")
		h.Set(headerRequest, r.ID)
		h.Set(headerCorrelation, ownID(g.Request.Header.Get(headerCorrelation), ""))
		if org := g.Request.Header.Get(headerOrg); org != "" && plain(org) {
			h.Set(headerOrg, org)
		}
		c := &call{Request: r, gin: g, word: name}
		a, err := d.answer(g.Request.Context(), c, name)
		if err != nil {
			a = d.refusal(r, err)
		}
		r.Answered(firstOf(err, a.cause))
		a.write(c)
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Headers of requests and replies.
const (
	headerRequest     = "X-Request-Id"
	headerCorrelation = "X-Correlation-ID"
	headerOrg         = "X-Org-Protection"
	headerJob         = "X-Waybill-Job-Id"
	headerLimit       = "X-RateLimit-Limit"
	headerRemaining   = "X-RateLimit-Remaining"
	headerReset       = "X-RateLimit-Reset"
)

// maxID bounds an id that a client brings, in characters.
const maxID = 128

func plain(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxID && !strings.ContainsFunc(s, unicode.IsControl)
}

// ownID is the id that a client brings, else the one given, else a new one.
func ownID(brought, else_ string) string {
	switch {
	case brought != "" && plain(brought):
		return brought
	case else_ != "":
		return else_
	}
	return uuid.NewString()
}

// answer goes through the checks and calls the function.
func (d *door) answer(ctx context.Context, c *call, name string) (answer, error) {
	f, known := d.functions[name]
	err := d.identify(ctx, c)
	if err != nil && job.CodeOf(err) != job.Unauthenticated {
		d.note(ctx, c, f, err)
		return answer{}, err
	}
	if refused := d.count(ctx, c); refused != nil {
		err = refused
	}
	if err != nil {
		d.note(ctx, c, f, err)
		return answer{}, err
	}
	c.KnownBy(func() error { return d.identify(ctx, c) })
	if err = c.Malformed(); err == nil {
		c.args, err = readArgs(c, f.uploads)
	}
	if err != nil {
		d.note(ctx, c, f, err)
		return answer{}, err
	}
	if !known {
		return answer{status: http.StatusNotFound, json: message{notThere}}, nil
	}
	return d.act(ctx, c, f)
}

// note leaves an entry of a call that was refused before anybody knew what it says.
func (d *door) note(ctx context.Context, c *call, f function, err error) {
	if f.action == "" {
		return
	}
	with, end := d.server.Act(ctx, f.action, f.kind)
	if c.key != nil {
		control.TrailOf(with).As(c.Actor)
	}
	end(err)
}

// act calls a function and leaves an entry in the audit log where it would change something.
func (d *door) act(ctx context.Context, c *call, f function) (a answer, err error) {
	scope, action := f.scope, f.action
	if c.word == "apijob" || c.word == "jobactions" {
		switch c.verb() {
		case verbStart:
		case verbStop:
			action = "job.stop"
		default: // it looks, or does nothing
			scope, action = job.ScopeRead, ""
		}
	}
	if action != "" {
		var ids []string
		if id := c.args.id("id"); f.kind == "jobconfig" && job.ValidID(id) {
			ids = []string{id}
		}
		with, end := d.server.Act(ctx, action, f.kind, ids...)
		control.TrailOf(with).As(c.Actor)
		defer func() {
			outcome := firstOf(err, a.cause)
			if p := recover(); p != nil {
				outcome = job.Errorf(job.Internal, job.WordInternal, "broken off")
				defer panic(p)
			}
			end(outcome)
		}()
		ctx = with
	}
	if err := scopeFault(c, scope); err != nil {
		return answer{}, err
	}
	return f.serve(ctx, c)
}

func scopeFault(c *call, need job.KeyScope) error {
	if c.key.Allows(need) {
		return nil
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "The API key has not the scope %s", need)
}
