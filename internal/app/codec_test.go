package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestFormsOfOtherSites: a page that somebody reads must not be able to sign in, or fail to, in that person's name.
func TestFormsOfOtherSites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		site, origin string
		want         bool
	}{
		"no browser":            {"", "", false},
		"the page itself":       {"same-origin", "https://waybill.example.com", false},
		"an old browser":        {"", "https://waybill.example.com", false},
		"a proxy's other port":  {"", "http://inner.example.com:8080", false},
		"another site":          {"cross-site", "https://evil.example.com", true},
		"a neighbour":           {"same-site", "https://evil.waybill.example.com", true},
		"another site, and old": {"", "https://evil.example.com", true},
		"a file":                {"", "null", true},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://inner.example.com:8080/codec/login", nil)
		for header, value := range map[string]string{"Sec-Fetch-Site": c.site, "Origin": c.origin} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		if got := fromElsewhere(r, "https://waybill.example.com/"); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
