package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyWithin bounds how long the checks of /readyz may take, when a dependency hangs: less than the second that Kubernetes and
// some balancers give a probe, for they take a process that has not answered by then for one that is not ready.
const readyWithin = 900 * time.Millisecond

// healthRoutes are outside of every door and need no token: probes and scrapers have none.
func (s *Server) healthRoutes() {
	s.engine.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, health{Status: "up"}) })
	s.engine.GET("/readyz", s.ready)
	s.engine.GET("/metrics", gin.WrapH(promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: true})))
}

type health struct {
	Status string            `json:"status"` // "up", "degraded": it serves without something it depends on, "draining"
	Checks map[string]string `json:"checks,omitempty"`
}

// ready tells whether calls should be sent here: until the process drains. A dependency that is down is told and changes nothing
// about that. All processes have the same ones, so a balancer would take out every process, and clients would get no answer, or
// the balancer's, where the doors have right ones: starts are accepted without Temporal, all but uploads goes on without the object
// store, and without the database there is a 503 that says what to do. Why a dependency is down is not told: the cause may name hosts.
func (s *Server) ready(c *gin.Context) {
	h := health{Status: "up", Checks: map[string]string{}}
	if s.Ready != nil {
		ctx, cancel := context.WithTimeout(c.Request.Context(), readyWithin)
		defer cancel()
		for _, check := range s.Ready(ctx) {
			h.Checks[check.Name] = "up"
			if check.Err != nil {
				h.Checks[check.Name], h.Status = "down", "degraded"
			}
		}
	}
	status := http.StatusOK
	if s.Draining.Err() != nil {
		h.Status, status = "draining", http.StatusServiceUnavailable
		c.Header("Retry-After", "1")
	}
	c.JSON(status, h)
}
