package native

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// cursorLife is how long a cursor may be used (native.md, 1.4).
const cursorLife = 24 * time.Hour

// cursors makes and reads list cursors. A cursor is a place in a list, with a keyed hash: clients can not make one up,
// so what it holds needs no second check, and one made for another filter, order or caller does not fit.
type cursors struct {
	key []byte
	now control.Clock
}

func newCursors(key []byte, now control.Clock) cursors { return cursors{key: key, now: now} }

// place is the content of a cursor.
type place struct {
	After []string `json:"a"`
	Made  int64    `json:"t"` // Unix seconds
}

// seal makes a cursor. list says which list it belongs to: route, caller, filter and order.
func (c cursors) seal(list string, after []string) string {
	text, err := json.Marshal(place{After: after, Made: c.now().Unix()})
	if err != nil {
		return "" // strings and a number always marshal
	}
	return base64.RawURLEncoding.EncodeToString(append(c.sum(list, text), text...))
}

// open reads a cursor.
func (c cursors) open(list, cursor string) ([]string, error) {
	bad := job.Errorf(job.Invalid, job.WordInvalidCursor, "The cursor is not valid for this list")
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) < sha256.Size {
		return nil, bad
	}
	text := raw[sha256.Size:]
	if !hmac.Equal(raw[:sha256.Size], c.sum(list, text)) {
		return nil, bad
	}
	var p place
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&p); err != nil {
		return nil, bad
	}
	if c.now().Sub(time.Unix(p.Made, 0)) >= cursorLife {
		return nil, job.Errorf(job.Invalid, job.WordInvalidCursor, "The cursor is older than 24 hours")
	}
	return p.After, nil
}

func (c cursors) sum(list string, text []byte) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(list))
	mac.Write([]byte{0})
	mac.Write(text)
	return mac.Sum(nil)
}
