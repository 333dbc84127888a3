package api

import (
	"encoding/base64"
	"net/http"
	"strings"

	"waybill/internal/job"
)

// Credentials are what a call's Authorization header holds.
type Credentials struct {
	Bearer         string
	User, Password string
	Basic          bool // User and Password are set
}

// CredentialsOf reads the Authorization header of a call (RFC 6750, RFC 7617). A header that is absent, of another scheme or not
// well-formed gives none. Of several none can be believed: what stands between the client and us may look at another one.
func CredentialsOf(h http.Header) (Credentials, error) {
	if len(h.Values("Authorization")) > 1 {
		return Credentials{}, job.Errorf(job.Unauthenticated, job.WordTokenInvalid, "There is more than one Authorization header")
	}
	return credentialsIn(h.Get("Authorization")), nil
}

func credentialsIn(header string) Credentials {
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return Credentials{Bearer: rest}
	case strings.EqualFold(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return Credentials{}
		}
		if user, password, ok := strings.Cut(string(plain), ":"); ok {
			return Credentials{User: user, Password: password, Basic: true}
		}
	}
	return Credentials{}
}

// KeyHeader is the header that an API key comes in.
const KeyHeader = "x-api-key"

// KeyOf is the API key of a call. Of several none can be believed: what stands between the client and us may look at another one.
func KeyOf(h http.Header) (key string, sent bool, err error) {
	values := h.Values(KeyHeader)
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		key = strings.TrimSpace(values[0])
		return key, key != "", nil
	}
	return "", true, job.Errorf(job.Unauthenticated, job.WordTokenInvalid, "There is more than one API key")
}
