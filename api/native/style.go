package native

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"waybill/api"
	"waybill/internal/job"
)

// style is how a reply writes dates and links (native.md, 1.1 and 1.2).
type style struct {
	rfc3339 bool
	base    string // server.baseUrl without a slash at its end
}

const mediumLayout = "Jan 2, 2006 3:04:05 PM"

// date is t in UTC, or "" for the zero time.
func (s style) date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if s.rfc3339 {
		return t.UTC().Format("2006-01-02T15:04:05Z")
	}
	return t.UTC().Format(mediumLayout)
}

// href is the absolute address of a path below /api.
func (s style) href(path string) string { return s.base + "/api/" + path }

// styleOf reads Prefer (RFC 7240) and tells in the reply's headers when it changed anything.
func (d *door) styleOf(r *api.Request, reply http.Header) style {
	s := style{rfc3339: d.server.RFC3339, base: strings.TrimRight(d.server.BaseURL(), "/")}
	wish := datesWish(r.HTTP.Header["Prefer"])
	if wish == "" {
		return s
	}
	s.rfc3339 = wish == "rfc3339"
	reply.Set("Preference-Applied", "dates="+wish)
	reply.Set("Vary", "Prefer")
	return s
}

func datesWish(headers []string) string {
	for _, header := range headers {
		for _, one := range strings.FieldsFunc(header, func(r rune) bool { return r == ',' || r == ';' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
			value = strings.ToLower(strings.Trim(strings.TrimSpace(value), `"`))
			if strings.EqualFold(strings.TrimSpace(name), "dates") && (value == "rfc3339" || value == "medium") {
				return value
			}
		}
	}
	return ""
}

// isoDuration writes d as PT1M12.5S, in milliseconds at the finest.
func isoDuration(d time.Duration) string {
	d = d.Round(time.Millisecond)
	if d <= 0 {
		return "PT0S"
	}
	b := append(make([]byte, 0, 16), "PT"...)
	if h := int64(d / time.Hour); h > 0 {
		b = append(strconv.AppendInt(b, h, 10), 'H')
	}
	if m := int64(d % time.Hour / time.Minute); m > 0 {
		b = append(strconv.AppendInt(b, m, 10), 'M')
	}
	if rest := d % time.Minute; rest > 0 {
		b = strconv.AppendInt(b, int64(rest/time.Second), 10)
		if ms := int64(rest % time.Second / time.Millisecond); ms > 0 { // as a float it would not always be written as meant
			b = append(b, strings.TrimRight(fmt.Sprintf(".%03d", ms), "0")...)
		}
		b = append(b, 'S')
	}
	return string(b)
}

// reference is the vendor's Reference.
type reference struct {
	ID     string `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	Type   string `json:"type,omitempty"`
	Href   string `json:"href,omitempty"`
	Status string `json:"status,omitempty"`
}

func (s style) user(u job.UserRef) *reference {
	if u.ID == 0 {
		return nil
	}
	id := strconv.FormatInt(u.ID, 10)
	return &reference{ID: id, Name: u.Name, Href: s.href("users/" + id)}
}
