package informatica

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// Name is the door's.
const Name = "informatica"

// Where the door's routes are. The document and the registrations have whole paths, because the three have different routes.
const (
	userBase = "/ma/api/v2"
	taskBase = "/saas/api/v2"
	coreBase = "/saas/public/core/v3"
)

// door is the API for Informatica clients on one server.
type door struct {
	server *api.Server
	api    huma.API
	self   api.Door
}

// Register adds the door to the server.
func Register(s *api.Server) error {
	if s == nil || s.DoorSessions == nil || s.SharedSchedules == nil {
		return errors.New("informatica: no server, or one without sessions or shared schedules")
	}
	d := &door{server: s}
	d.self = api.Door{
		Name: Name, Bases: []string{"/ma", "/saas"}, WholePaths: true,
		Fault: func(r *api.Request, err error) api.Fault {
			r.Answered(err)
			return faultOf(r, err)
		},
	}
	d.api = s.AddDoor(d.self, d.document())
	d.sessionRoutes()
	d.jobRoutes()
	d.activityRoutes()
	d.taskRoutes()
	d.scheduleRoutes()
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // huma's own errors, which are never sent
		delete(d.api.OpenAPI().Components.Schemas.Map(), name)
	}
	return api.AddExamples(d.api.OpenAPI(), examples()...)
}

// call is what a handler is given besides its input.
type call struct {
	*api.Request
	gin     *gin.Context
	session string // the id the caller showed
	door    *door
	as      format
}

// zone is the time zone of the caller's account.
func (c *call) zone(ctx context.Context) (*time.Location, error) {
	a, err := c.door.server.Account.Get(ctx, c.Actor)
	if err != nil {
		return nil, err
	}
	return zoneOf(a), nil
}

// access says who may call an operation.
type access int

const (
	session access = iota // somebody with a session id
	open                  // anybody; counted by address
	guess                 // anybody with a password; counted as a login
)

// none is the body of operations that take none.
type none struct{}

// use describes an operation.
type use struct {
	method, path, summary, tag string
	who                        access
	plain                      string // media type of a reply that is neither JSON nor XML
	entries                    any    // what is in a list that is streamed
}

// streamed is a reply that a handler writes itself.
type streamed func(c *call)

// operation registers a use of the door. Parameters are plain strings that the handlers read themselves; bodies are read here, once it is
// known who calls.
func operation[P, B, O any](d *door, u use, handler func(context.Context, *call, *P, *B) (O, error)) {
	op := huma.Operation{
		Method: u.method, Path: u.path, Summary: u.summary, Tags: []string{u.tag}, SkipValidateParams: true, SkipValidateBody: true,
		OperationID: operationID(u.method, u.path), Security: []map[string][]string{{"session": {}}, {"session3": {}}},
		Middlewares: huma.Middlewares{d.audited(u.method, u.path), d.enter(u.who)},
	}
	if u.who != session {
		op.Security = []map[string][]string{}
	}
	op.Responses = d.responses(u, reflect.TypeFor[O]())
	huma.Register(d.api, op, func(_ context.Context, in *P) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			c := &call{Request: api.RequestOf(hc.Context()), gin: api.Gin(hc), door: d}
			c.as = formatOf(c.HTTP)
			c.session, _ = sessionOf(c.HTTP) // an operation that takes a session has refused several
			if err := serve(hc.Context(), c, in, handler); err != nil {
				d.server.Fail(c.gin, err)
			}
		}}, nil
	})
	d.documentBody(u, reflect.TypeFor[B]())
}

func serve[P, B, O any](ctx context.Context, c *call, in *P, handler func(context.Context, *call, *P, *B) (O, error)) error {
	var body B
	if reflect.TypeFor[B]() != reflect.TypeFor[none]() {
		if err := c.read(&body); err != nil {
			return err
		}
	}
	out, err := handler(ctx, c, in, &body)
	if err != nil {
		return err
	}
	if write, own := any(out).(streamed); own {
		write(c)
		return nil
	}
	return c.write(out)
}

// sessionOf is the session id that a call shows, in either header or the same in both. Of several none can be believed: what stands
// between the client and us may look at another one.
func sessionOf(r *http.Request) (id string, err error) {
	for _, shown := range append(r.Header.Values("icSessionId"), r.Header.Values("INFA-SESSION-ID")...) {
		if id != "" && shown != "" && shown != id {
			return "", job.Errorf(job.Unauthenticated, job.WordTokenInvalid, "There is more than one session id")
		}
		if shown != "" {
			id = shown
		}
	}
	return id, nil
}

// enter is the first thing that happens in a call: who it is, and whether they call too often.
func (d *door) enter(who access) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := api.Gin(hc)
		r := api.RequestOf(hc.Context())
		err := d.identify(hc.Context(), r, who)
		if err == nil {
			err = r.Malformed()
		}
		if err != nil {
			d.server.Fail(c, err)
			return
		}
		next(hc)
	}
}

// identify counts a call that shows no session before its body is read, so that nobody unknown has bodies read without end.
func (d *door) identify(ctx context.Context, r *api.Request, who access) (err error) {
	switch who {
	case open:
		return d.count(ctx, api.CallerAt(r))
	case guess:
		return d.server.LoginAllowed(ctx, r)
	}
	id, err := sessionOf(r.HTTP)
	authenticate := func() (err error) {
		r.Actor, err = d.server.DoorSessions.Authenticate(ctx, id)
		return err
	}
	if err == nil {
		err = authenticate()
	}
	if err != nil {
		if job.CodeOf(err) == job.Unauthenticated {
			if refused := d.count(ctx, api.CallerAt(r)); refused != nil {
				return refused
			}
		}
		return err
	}
	r.KnownBy(authenticate)
	control.TrailOf(ctx).As(r.Actor)
	return d.count(ctx, api.CallerBy("session", control.HashOfSession(id)))
}

func (d *door) count(ctx context.Context, who api.Caller) error {
	if q := d.server.CountCall(ctx, Name, who); q.Refused() {
		return api.TooMany(q)
	}
	return nil
}

// operationID makes "post-saas-api-v2-job" of POST /saas/api/v2/job.
func operationID(method, path string) string {
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
}

// badField is a parameter or member that can not be used.
func badField(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordInvalidField, format, args...)
}
