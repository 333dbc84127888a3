package app

import (
	"context"
	_ "embed"
	"net/http"
	"net/url"
	"strings"
	"time"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/engine"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// sealing gives the engine's options what seals payloads and takes the SDK's metrics. The keys must be open.
func (p *parts) sealing(o engine.Options) engine.Options {
	o.Codec = engine.NewCodec(p.keyring.Ring.Box(engine.PayloadUse), p.settings.Temporal.Seals())
	o.Metrics = p.sdkMetrics
	return o
}

// codecPath is where the codec server is.
const codecPath = "/codec"

// codecCookie holds the access token of a person at the Temporal Web UI, which has no other way to send one.
const codecCookie = "waybill-codec"

//go:embed codeclogin.html
var codecLogin []byte

// mountCodec has the REST server open payloads for those who look at workflows.
func (p *parts) mountCodec(server *api.Server, sessions *control.Sessions) {
	codec := &engine.CodecServer{
		Codec:   engine.NewCodec(p.keyring.Ring.Box(engine.PayloadUse), p.settings.Temporal.Seals()),
		Origins: p.settings.Temporal.CodecOrigins, Log: p.log,
		May: func(r *http.Request) (string, error) {
			actor, err := p.mayDecode(r, sessions)
			return actor.User.Name, err
		},
		Audit: func(r *http.Request, _, did string) { p.auditCodec(r, server, sessions, did) },
	}
	mux := http.NewServeMux()
	mux.Handle(codecPath+"/", codec)
	mux.HandleFunc("GET "+codecPath+"/login", func(w http.ResponseWriter, _ *http.Request) { codecForm(w, http.StatusOK, "") })
	mux.HandleFunc("POST "+codecPath+"/login", func(w http.ResponseWriter, r *http.Request) { p.codecLogin(w, r, server, sessions) })
	server.Mount(codecPath, mux)
}

// auditCodec notes that somebody looks at what workflows hold: once a minute at most for each person, so that who it is may be asked for
// again.
func (p *parts) auditCodec(r *http.Request, server *api.Server, sessions *control.Sessions, did string) {
	ctx, end := server.Act(r.Context(), "codec."+did, "payload")
	actor, err := p.mayDecode(r, sessions)
	if err == nil {
		control.TrailOf(ctx).As(actor)
	}
	end(err)
}

// mayDecode lets in the admins of the account that every installation begins with: histories hold the data of all accounts.
func (p *parts) mayDecode(r *http.Request, sessions *control.Sessions) (job.Actor, error) {
	given, err := api.CredentialsOf(r.Header)
	if err != nil {
		return job.Actor{}, err
	}
	access := given.Bearer
	// A cookie counts only when a browser says whose page calls: the codec server has checked that.
	if cookie, err := r.Cookie(codecCookie); err == nil && access == "" && r.Header.Get("Origin") != "" {
		access = cookie.Value
	}
	actor, err := sessions.Authenticate(r.Context(), access)
	if err != nil {
		return job.Actor{}, err
	}
	account, err := p.store.Account(r.Context(), actor.AccountID)
	if err != nil {
		return job.Actor{}, err
	}
	if actor.Family == "" || !actor.Admin || account.Name != control.DefaultAccount { // a job's token has no family
		return job.Actor{}, job.Errorf(job.Forbidden, job.WordAccessDenied, "Only admins of the account %s may see what workflows hold", control.DefaultAccount)
	}
	return actor, nil
}

// codecForm shows the page to sign in with.
func codecForm(w http.ResponseWriter, status int, say string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.Replace(string(codecLogin), "{{say}}", say, 1))) // say is ours, without markup
}

// codecLogin signs a person in for the codec server alone: the cookie is sent to no other path.
func (p *parts) codecLogin(w http.ResponseWriter, r *http.Request, server *api.Server, sessions *control.Sessions) {
	if fromElsewhere(r, p.url()) {
		codecForm(w, http.StatusForbidden, "Sign in on this page itself.")
		return
	}
	request := api.RequestOf(r.Context())
	ctx, end := server.Act(r.Context(), "codec.login", "session")
	if err := server.LoginAllowed(ctx, request); err != nil {
		end(err)
		codecForm(w, http.StatusTooManyRequests, "Too many attempts. Wait a minute.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	grant, err := sessions.Login(ctx, r.PostFormValue("user"), r.PostFormValue("password"), request.Address)
	end(err)
	switch code := job.CodeOf(err); {
	case code == job.Unauthenticated:
		codecForm(w, http.StatusUnauthorized, "Name or password is wrong.")
		return
	case code == job.RateLimited:
		codecForm(w, http.StatusTooManyRequests, "Too many attempts. Wait some minutes.")
		return
	case err != nil:
		p.log.WarnContext(r.Context(), "somebody could not sign in for the codec server", "error", err)
		codecForm(w, http.StatusServiceUnavailable, "That can not be checked now. Try again.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: codecCookie, Value: grant.Access, Path: codecPath, MaxAge: int(grant.ExpiresIn / time.Second), HttpOnly: true,
		Secure: strings.HasPrefix(p.url(), "https:"), SameSite: http.SameSiteStrictMode,
	})
	codecForm(w, http.StatusOK, "You are signed in. The Temporal Web UI now shows what workflows hold; close this page.")
}

// fromElsewhere tells whether a page of another site sent a form: it could have its reader locked out by wrong passwords.
func fromElsewhere(r *http.Request, own string) bool {
	guard := http.NewCrossOriginProtection()
	if u, err := url.Parse(own); err == nil { // a proxy may have changed the host
		_ = guard.AddTrustedOrigin(u.Scheme + "://" + u.Host) // one that is none is not trusted
	}
	return guard.Check(r) != nil
}

// maxBacklogQueues bounds for how many queues the backlog is shown.
const maxBacklogQueues = 300

// showBacklog shows what waits in the task queues.
func (p *parts) showBacklog() {
	b := &engine.Backlog{Engine: p.temporal.WorkflowService(), Namespace: p.namespace, Log: p.log, Queues: func(ctx context.Context) ([]engine.Queue, error) {
		own, err := p.store.TaskQueues(ctx, maxBacklogQueues)
		list := []engine.Queue{{Name: contract.SystemQueue, Workflows: true}, {Name: contract.StatusQueue(contract.SystemQueue)}}
		for _, name := range own {
			list = append(list, engine.Queue{Name: name})
		}
		return list, err
	}}
	p.metrics.MustRegister(b)
	p.background("backlog of task queues", b.Run)
}
