// Package guard keeps Waybill from being used to reach what only its own network can: it says which URLs users may name,
// and refuses connections to private, loopback, link-local and other special addresses at the moment they are made, when
// names have been resolved, so that a name that changes its mind is caught too. It imports the domain only.
package guard
