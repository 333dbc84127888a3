package standalone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/temporalio/ui-server/v2/server/api"
	"github.com/temporalio/ui-server/v2/server/auth"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/csrf"
	"github.com/temporalio/ui-server/v2/server/headers"
	"github.com/temporalio/ui-server/v2/server/route"
	"github.com/temporalio/ui-server/v2/ui"
)

// webUI is the Temporal Web UI. It is put together here from the UI server's own parts, because that server's Start binds
// the port by itself and ends the process when it can not.
type webUI struct {
	server  *http.Server
	address string
	served  chan struct{}
}

// uiConfig satisfies the UI server's provider of settings.
type uiConfig struct{ uiconfig.Config }

func (c *uiConfig) GetConfig() (*uiconfig.Config, error) { return &c.Config, nil }

// startUI serves the UI for the frontend at temporal on l. It connects when the first page is asked for.
func startUI(l net.Listener, temporal, token string, c Config) (*webUI, error) {
	handler, err := uiHandler(temporal, token)
	if err != nil {
		return nil, fmt.Errorf("set up the Temporal Web UI: %w", err)
	}
	u := &webUI{
		address: l.Addr().String(),
		served:  make(chan struct{}),
		server: &http.Server{
			Handler:           localOnly(c.gate(handler)),
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          slog.NewLogLogger(c.Logger.With("component", "temporal-ui").Handler(), slog.LevelWarn),
		},
	}
	go func() {
		defer close(u.served)
		if err := u.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.Logger.Error("Temporal Web UI ended", "error", err)
		}
	}()
	return u, nil
}

func uiHandler(temporal, token string) (http.Handler, error) {
	cfg := &uiConfig{uiconfig.Config{
		TemporalGRPCAddress: temporal,
		DefaultNamespace:    Namespace,
		EnableUI:            true,
		DisableNewsFetch:    true, // nothing leaves the machine
		CORS:                uiconfig.CORS{CookieInsecure: true},
		HideLogs:            true,
	}}
	provider, err := uiconfig.NewConfigProviderWithRefresh(cfg)
	if err != nil {
		return nil, err
	}
	all, err := ui.Assets()
	if err != nil {
		return nil, err
	}
	assets, err := fs.Sub(all, "local")
	if err != nil {
		return nil, err
	}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Use(middleware.Recover(), middleware.Gzip(), middleware.Secure())
	e.Use(csrf.EnsureTokenCookie(false))
	e.Use(middleware.CSRFWithConfig(csrf.MiddlewareConfig(provider, false)))
	route.SetHealthRoute(e)
	forward := headers.WithForwardHeaders([]string{auth.AuthorizationExtrasHeader, "Caller-Type"})
	if err := route.SetAPIRoutes(e, provider, []api.Middleware{forward, showing(token)}); err != nil {
		return nil, err
	}
	route.SetAuthRoutes(e, provider)
	if err := route.SetUIRoutes(e, "", assets, provider); err != nil {
		return nil, err
	}
	route.SetRenderRoute(e, "/")
	return e, nil
}

// localOnly refuses requests for a foreign host name: a web page could otherwise reach the UI by letting its own name resolve
// to 127.0.0.1 (DNS rebinding).
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, "The Temporal Web UI answers to localhost and IP addresses only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// stop lets running requests end until ctx does, then cuts them off.
func (u *webUI) stop(ctx context.Context) error {
	err := u.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop the Temporal Web UI: %w", err), u.server.Close())
	}
	<-u.served
	return err
}
