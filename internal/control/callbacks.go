package control

import (
	"slices"
	"strings"
	"unicode/utf8"

	"waybill/internal/job"
)

// Limits of a config's callbacks.
const (
	maxCallbacks = 10
	maxSecret    = 1024 // bytes
)

// sealCallbacks checks callbacks and seals their secrets. One whose URL is stored already keeps the stored secret unless
// it brings one, or says that it has none. So does one that was read from the store (PATCH of other members).
func sealCallbacks(sealer Sealer, targets Targets, stored, in []job.Callback) ([]job.Callback, error) {
	if len(in) > maxCallbacks {
		return nil, invalidField("callbacks has more than %d entries", maxCallbacks)
	}
	var out []job.Callback
	for _, c := range in {
		c.URL = strings.TrimSpace(c.URL)
		if err := targets.CheckURL(c.URL); err != nil {
			return nil, job.Wrap(err, job.CodeOf(err), job.WordOf(err), "callbacks: %s", shownOf(err))
		}
		if slices.ContainsFunc(out, func(other job.Callback) bool { return other.URL == c.URL }) {
			return nil, invalidField("callbacks names one url twice")
		}
		for i, event := range c.Events {
			if !slices.Contains(job.CallbackEvents, event) {
				return nil, invalidField("callbacks: events are %s, not '%s'", strings.Join(job.CallbackEvents, ", "), short(event))
			}
			if slices.Contains(c.Events[:i], event) {
				return nil, invalidField("callbacks: events names %s twice", event)
			}
		}
		if len(c.Secret) > maxSecret || !utf8.ValidString(c.Secret) {
			return nil, invalidField("callbacks: a secret has at most %d bytes of text", maxSecret)
		}
		out = append(out, sealCallback(sealer, stored, c))
	}
	return out, nil
}

func sealCallback(sealer Sealer, stored []job.Callback, c job.Callback) job.Callback {
	sealed := job.Callback{URL: c.URL, Events: c.Events}
	i := slices.IndexFunc(stored, func(old job.Callback) bool { return old.URL == c.URL })
	switch {
	case c.Secret != "":
		sealed.Sealed = sealer.Seal(c.Secret)
	case i >= 0 && (c.Keep || c.Sealed != "" && c.Sealed == stored[i].Sealed):
		sealed.Sealed = stored[i].Sealed
	}
	return sealed
}

// shownOf is the part of an error that may be shown.
func shownOf(err error) string {
	if e, ok := err.(*job.Error); ok {
		return e.Message
	}
	return "not valid"
}
