package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/internal/job"
	"waybill/internal/limit"
)

// Server answers all calls. It is an http.Handler; whoever serves it should set ReadHeaderTimeout and IdleTimeout only:
// a ReadTimeout or WriteTimeout would cut uploads, followed logs and events, which set deadlines of their own.
type Server struct {
	Config

	engine    *gin.Engine
	doors     []Door
	documents []document
	metrics   *metrics
	limiter   *limit.Limiter
}

// New makes a server without doors; register them (native.Register) before it serves.
func New(c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.defaults()
	humaFaults()
	gin.SetMode(gin.ReleaseMode)
	s := &Server{Config: c, engine: gin.New(), limiter: limit.New(c.Limits.Shared, c.Log, c.Now)}
	var err error
	if s.metrics, err = newMetrics(c.Metrics); err != nil {
		return nil, err
	}
	e := s.engine
	e.RedirectTrailingSlash, e.RedirectFixedPath, e.HandleMethodNotAllowed = false, false, true
	e.UseEscapedPath, e.UnescapePathValues = true, false // see router: parameters are unescaped once, as path
	e.ContextWithFallback = false
	e.Use(s.begin, s.recover, s.query)
	e.NoRoute(s.noRoute)
	e.NoMethod(func(c *gin.Context) {
		s.stray(c, job.Errorf(job.Invalid, WordMethodNotAllowed, "The route does not take %s", method(c.Request.Method)))
	})
	s.healthRoutes()
	s.documentRoutes()
	s.wellKnownRoutes()
	return s, nil
}

func (c *Config) defaults() {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Draining == nil {
		c.Draining = context.Background()
	}
	if c.Closing == nil {
		c.Closing = context.Background()
	}
	if c.Limits.Login.Name == "" {
		c.Limits.Login = limit.Leaking(ruleLogin, DefaultLogins, DefaultLogins/60.0)
	}
	c.Limits.Login.Name = ruleLogin
}

func (s *Server) noRoute(c *gin.Context) {
	s.stray(c, job.Errorf(job.NotFound, WordRouteNotFound, "There is no such route"))
}

// stray answers a call that no route takes.
func (s *Server) stray(c *gin.Context, err error) {
	if d := RequestOf(c.Request.Context()).door; d.Stray != nil && s.ofDoor(c.Request.URL.Path) {
		d.Stray(c)
		return
	}
	s.Fail(c, err)
}

// ServeHTTP makes Server an http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// AddDoor gives a door its huma API: operations registered on it are served under all of the door's bases. The config
// brings the OpenAPI document, without the routes huma would add to serve it; the server shows it.
func (s *Server) AddDoor(d Door, config huma.Config) huma.API {
	s.doors = append(s.doors, d)
	bases := d.Bases
	if d.WholePaths {
		bases = []string{""}
	}
	api := huma.NewAPI(config, &router{engine: s.engine, bases: bases, tails: map[string]*tail{}, none: s.noRoute})
	self := document{name: d.Name, api: api}
	this := func(*Server) (document, bool) { return self, true }
	self.serve = map[string]gin.HandlerFunc{"json": s.document("json", this), "yaml": s.document("yaml", this)}
	s.documents = append(s.documents, self)
	return api
}

// Handle registers a plain route under all of the door's bases, outside of the document.
func (s *Server) Handle(d Door, method, path string, handler gin.HandlerFunc) {
	for _, base := range d.Bases {
		s.engine.Handle(method, base+path, handler)
	}
}

// Mount has a handler answer all calls below a path, outside of every door.
func (s *Server) Mount(path string, h http.Handler) {
	s.engine.Any(path+"/*rest", gin.WrapH(h))
}

// Routes lists what is served, as "METHOD /path" with gin's notation of parameters; for tests and the docs.
func (s *Server) Routes() []string {
	var out []string
	for _, r := range s.engine.Routes() {
		out = append(out, r.Method+" "+r.Path)
	}
	return out
}
