// Package native is Waybill's own REST API (native API specification): its routes under /api and /v2/api, its error
// body, dates, status words, list envelope and filter grammar.
//
// It imports api, internal/control and internal/job, huma and gin; never a store, the runner or Temporal. Request and
// response types are private to the file that uses them; domain types never go on the wire.
package native
