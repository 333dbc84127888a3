package objectstore

import "net/http"

// around puts what watches requests around what carries them out.
func around(t http.RoundTripper, watch func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
	if watch == nil {
		return t
	}
	return watch(t)
}
