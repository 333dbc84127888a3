package native

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// door is the native API on one server.
type door struct {
	server  *api.Server
	api     huma.API
	self    api.Door
	cursors cursors
}

// Register adds the native door to the server.
func Register(s *api.Server) error {
	if s == nil {
		return errors.New("native: no server")
	}
	d := &door{server: s, cursors: newCursors(s.CursorKey, s.Now)}
	d.self = api.Door{
		Name:  "native",
		Bases: []string{"/api", "/v2/api"},
		Fault: func(r *api.Request, err error) api.Fault {
			r.Answered(err)
			return faultOf(r, d.quietStyle(r), err)
		},
	}
	d.api = s.AddDoor(d.self, d.document())
	d.sessionRoutes()
	d.apiKeyRoutes()
	d.configRoutes()
	d.scheduleRoutes()
	d.fileRoutes()
	d.jobRoutes()
	d.followRoutes()
	d.deliveryRoutes()
	d.subscriptionRoutes()
	d.accountRoutes()
	d.userRoutes()
	d.ssoRoutes()
	d.destinationRoutes()
	d.workerRoutes()
	d.auditRoutes()
	d.policyRoutes()
	d.unsupportedRoutes()
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // huma's own errors, which are never sent
		delete(d.api.OpenAPI().Components.Schemas.Map(), name)
	}
	return api.AddExamples(d.api.OpenAPI(), examples()...)
}

// quietStyle is the style of an error reply; its headers were set when the call began.
func (d *door) quietStyle(r *api.Request) style { return d.styleOf(r, http.Header{}) }

// call is what a handler is given besides its input.
type call struct {
	*api.Request
	style
	// look tells where the account's jobs run; nil when that can not be found out, which is no reason to fail a call.
	look func() *control.PlacesView
}

func (d *door) call(ctx context.Context) call {
	r := api.RequestOf(ctx)
	return call{Request: r, style: d.quietStyle(r), look: sync.OnceValue(func() *control.PlacesView {
		view, err := d.server.Places.View(ctx, r.Actor.AccountID)
		if err != nil {
			return nil
		}
		return view
	})}
}

// access says who may call an operation.
type access int

const (
	bearer        access = iota // an access token
	bearerOrBasic               // the same, or Basic credentials: routes that start jobs
	open                        // anybody
)

// operation registers a use of the door. Parameters are plain strings that the handlers read themselves, because huma's
// own validation would answer with 422 and with words of its own.
func operation[I, O any](d *door, who access, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.SkipValidateParams, op.SkipValidateBody = true, true
	op.OperationID = operationID(op.Method, op.Path)
	op.Middlewares = append(huma.Middlewares{d.audited(op.Method, op.Path), d.enter(who, op.Method, op.Path)}, op.Middlewares...)
	switch who {
	case bearer:
		op.Security = []map[string][]string{{"bearer": {}}, {"apikey": {}}}
	case bearerOrBasic:
		op.Security = []map[string][]string{{"bearer": {}}, {"apikey": {}}, {"basic": {}}}
	case open:
		op.Security = []map[string][]string{}
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	registry := d.api.OpenAPI().Components.Schemas
	op.Responses["default"] = &huma.Response{
		Description: "Error",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: registry.Schema(reflect.TypeFor[fault](), true, "")},
		},
	}
	huma.Register(d.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, d.self.Fault(api.RequestOf(ctx), err)
		}
		return out, nil
	})
	// Only now: an operation registered with a body would have huma read it.
	documentBody(d.api.OpenAPI(), op.Method, op.Path, reflect.TypeFor[I]())
}

// operationID makes "get-jobconfigs-id" of GET /jobconfigs/{id}.
func operationID(method, path string) string {
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
}

// enter is the first thing that happens in a call: the dates the caller prefers, and who it is.
func (d *door) enter(who access, method, path string) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := api.Gin(hc)
		r := api.RequestOf(hc.Context())
		d.styleOf(r, c.Writer.Header())
		err := d.identify(hc.Context(), r, who)
		if q := d.server.CountCall(hc.Context(), d.self.Name, api.CallerOf(r)); q.Refused() {
			err = api.TooMany(q)
		}
		if err == nil && who != open {
			r.KnownBy(func() error { return d.identify(hc.Context(), r, who) })
		}
		if err == nil {
			err = checkScope(r.Actor, scopeOf(method, path))
		}
		if err == nil {
			err = closedToJobs(r.Actor, method, path)
		}
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

// identify finds the actor of a call.
func (d *door) identify(ctx context.Context, r *api.Request, who access) error {
	if who == open {
		return nil
	}
	given, err := api.CredentialsOf(r.HTTP.Header)
	if err != nil {
		return err
	}
	key, sent, err := api.KeyOf(r.HTTP.Header)
	if err != nil {
		return err
	}
	other := strings.TrimSpace(r.HTTP.Header.Get("Authorization"))
	if sent && other != "" && !strings.EqualFold(other, "Bearer") && given.Bearer != key { // of two, none can be believed, as of two of a kind
		return job.Errorf(job.Unauthenticated, job.WordTokenInvalid, "There are both an API key and an Authorization header")
	}
	if sent || control.LooksLikeKey(given.Bearer) {
		if !sent {
			key = given.Bearer
		}
		r.Actor, err = d.server.Keys.Authenticate(ctx, key)
		return err
	}
	if given.Basic && who == bearerOrBasic {
		r.Actor, err = d.server.Basic(ctx, r, given)
	} else {
		r.Actor, err = d.server.Sessions.Authenticate(ctx, given.Bearer)
	}
	if err == nil {
		control.TrailOf(ctx).As(r.Actor)
	}
	return err
}

// whole and flag are parameters that the document shows as a number and a truth value. They stay text until a handler
// reads them, because huma would refuse them in its own words.
type (
	whole string
	flag  string
)

// Schema documents the parameter.
func (whole) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeInteger} }

// Schema documents the parameter.
func (flag) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeBoolean} }

// invalid makes the error for a parameter or member that can not be used.
func invalid(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordInvalidField, format, args...)
}
