package standalone

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/labstack/echo/v4"
	"github.com/temporalio/ui-server/v2/server/api"
	"google.golang.org/grpc/metadata"
)

// ErrRefused is what Config.SignIn answers for a person who may not see the Web UI. What wraps it is shown.
var ErrRefused = errors.New("sign in as an admin of Waybill")

// gate lets those see the Web UI whom SignIn lets in, by HTTP Basic credentials. The credentials go no further: what the UI
// asks the frontend for, it asks with the token.
func (c Config) gate(next http.Handler) http.Handler {
	if c.Open {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		err := ErrRefused
		if user, password, ok := r.BasicAuth(); ok && c.SignIn != nil {
			remote, _, _ := net.SplitHostPort(r.RemoteAddr) // "" counts as an address of its own
			err = c.SignIn(r.Context(), user, password, remote)
		}
		switch {
		case err == nil:
			r.Header.Del("Authorization") // its mere presence would turn off the UI's check for forged requests
			next.ServeHTTP(w, r)
		case errors.Is(err, ErrRefused):
			w.Header().Set("WWW-Authenticate", `Basic realm="Waybill: Temporal Web UI", charset="UTF-8"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
		default:
			if r.Context().Err() == nil {
				c.Logger.WarnContext(r.Context(), "a sign-in to the Temporal Web UI could not be checked", "error", err)
			}
			w.Header().Set("Retry-After", "5")
			http.Error(w, "The sign-in can not be checked now.", http.StatusServiceUnavailable)
		}
	})
}

// showing adds the token to what the UI asks of the frontend.
func showing(token string) api.Middleware {
	return func(echo.Context) runtime.ServeMuxOption {
		return runtime.WithMetadata(func(context.Context, *http.Request) metadata.MD {
			if token == "" {
				return nil
			}
			return metadata.Pairs("authorization", "Bearer "+token)
		})
	}
}
