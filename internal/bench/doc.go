// Package bench is the load tool behind `waybill bench`: it measures no-op jobs through the REST API to their terminal
// status, and bare one-activity Temporal workflows beside them, in one process on one machine. It imports the app, the
// embedded engine, the REST client and the Temporal SDK.
package bench
