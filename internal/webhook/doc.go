// Package webhook calls addresses that users named, over HTTP: no redirects, no proxy, a deadline, and nothing but the
// public internet unless the settings say otherwise (guard). It imports the standard library and guard.
package webhook
