package diem

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// errNoKey is the cause where a call shows no key.
var errNoKey = errors.New("no API key was shown")

// identify finds out whose key the call shows.
func (d *door) identify(ctx context.Context, c *call) (err error) {
	key, sent, err := api.KeyOf(c.HTTP.Header)
	if err != nil {
		return err
	}
	if !sent {
		return job.Wrap(errNoKey, job.Unauthenticated, job.WordTokenMissing, "API key is missing")
	}
	c.Actor, err = d.server.Keys.Authenticate(ctx, key)
	c.key = c.Actor.Key
	return err
}

// count counts the call for its key or, where that is not good, for its address (diem.md, 1).
func (d *door) count(ctx context.Context, c *call) error {
	who := api.CallerAt(c.Request)
	if c.key != nil {
		who = api.CallerBy("key", c.key.ID)
	}
	q := d.server.CountCall(ctx, Name, who)
	if q.Limit == 0 {
		return nil
	}
	h := c.gin.Writer.Header()
	h.Set(headerLimit, strconv.Itoa(q.Limit))
	h.Set(headerRemaining, strconv.Itoa(max(0, q.Remaining)))
	h.Set(headerReset, strconv.FormatInt(c.Time.Add(q.Reset+time.Second-1).Unix(), 10))
	if q.Refused() {
		return api.TooMany(q)
	}
	return nil
}

// keyFault is how the door answers a key that opens nothing (diem.md, 2). All that has the form of a key and is not good is answered
// alike, so that a caller learns nothing.
func keyFault(err error) answer {
	forbidden := func(text string) answer { return answer{status: http.StatusForbidden, json: failure{Error: text}} }
	switch {
	case errors.Is(err, errNoKey):
		return forbidden("Forbidden, no api key or valid api key")
	case errors.Is(err, control.ErrNotAKey):
		return forbidden("Forbidden, no id on this token")
	case errors.Is(err, control.ErrKeyWithoutOrg):
		return forbidden("Forbidden, no org on this token")
	}
	return answer{status: http.StatusUnauthorized, json: message{"Api could not be found"}}
}
