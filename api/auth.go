package api

import (
	"encoding/base64"
	"strings"
)

// Credentials are what a call's Authorization header holds.
type Credentials struct {
	Bearer         string
	User, Password string
	Basic          bool // User and Password are set
}

// CredentialsOf reads an Authorization header (RFC 6750, RFC 7617). A header that is absent, of another scheme or not
// well-formed gives none.
func CredentialsOf(header string) Credentials {
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
