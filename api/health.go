package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyWithin bounds how long the checks of /readyz may take: a probe that hangs tells nobody anything.
const readyWithin = 5 * time.Second

// healthRoutes are outside of every door and need no token: probes and scrapers have none.
func (s *Server) healthRoutes() {
	s.engine.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, health{Status: "up"}) })
	s.engine.GET("/readyz", s.ready)
	s.engine.GET("/metrics", gin.WrapH(promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: true})))
}

type health struct {
	Status string            `json:"status"` // "up", "down", "draining"
	Checks map[string]string `json:"checks,omitempty"`
}

// ready tells whether calls should be sent here. Which dependency is down is told, why is not: the cause may name
// hosts.
func (s *Server) ready(c *gin.Context) {
	h := health{Status: "up", Checks: map[string]string{}}
	if s.Ready != nil {
		ctx, cancel := context.WithTimeout(c.Request.Context(), readyWithin)
		defer cancel()
		for _, check := range s.Ready(ctx) {
			h.Checks[check.Name] = "up"
			if check.Err != nil {
				h.Checks[check.Name], h.Status = "down", "down"
			}
		}
	}
	if s.Draining.Err() != nil {
		h.Status = "draining"
	}
	status := http.StatusOK
	if h.Status != "up" {
		status = http.StatusServiceUnavailable
		c.Header("Retry-After", "1")
	}
	c.JSON(status, h)
}
