// Package api is the HTTP server's engine: the gin router, huma on top of it, and what every door shares - request ids,
// client addresses, access log, recovery, body limits, the place of a JSON error, ranges of files, login rate limits,
// health, metrics and the documents. What a door decides for itself - routes, error bodies, dates, status words, lists
// - lives in a package of its own below this one.
//
// It imports internal/control and internal/job, gin, huma, Prometheus and the Swagger UI assets; never a store, the
// runner or Temporal.
package api
