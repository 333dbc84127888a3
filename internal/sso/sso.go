// Package sso signs people in at an OpenID Connect provider: authorization code flow with PKCE, state and nonce. It imports the
// go-oidc and oauth2 libraries, the domain and the use cases' words for who somebody is.
package sso

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Config is how Waybill is known at the provider.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string // empty: a public client
	Redirect     func() string
	Scopes       []string
	GroupsClaim  string
	Now          func() time.Time
	Transport    http.RoundTripper // nil: the default
}

// within bounds a call of the provider: a browser waits for it.
const within = 10 * time.Second

// maxAnswer bounds what the provider may answer, in bytes.
const maxAnswer = 1 << 20

// Provider is a control.IdentityProvider. What the provider says of itself is read at the first sign-on, and again until it answers.
type Provider struct {
	c        Config
	client   *http.Client
	failures atomic.Int64 // calls that came to nothing

	looks singleflight.Group
	mu    sync.Mutex // held for a moment only
	found *oidc.Provider
	fault error     // of the last look, which is not repeated
	again time.Time // before this
}

// rest is for how long a provider that did not answer is not asked again: everybody who signs on meanwhile is told at once.
const rest = 3 * time.Second

// New makes a Provider. It calls nobody yet, so that Waybill starts whether or not the provider is there.
func New(c Config) *Provider {
	p := &Provider{c: c}
	if p.c.Transport == nil {
		p.c.Transport = http.DefaultTransport
	}
	p.client = &http.Client{Timeout: within, Transport: transport{p}}
	return p
}

// transport counts what fails for the provider's sake and bounds its answers.
type transport struct{ p *Provider }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.p.c.Transport.RoundTrip(r)
	if err != nil || answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusTooManyRequests {
		t.p.failures.Add(1)
	}
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	}
	return answer, err
}

// look reads what the provider says of itself, once.
func (p *Provider) look(ctx context.Context) (*oidc.Provider, error) {
	if found, err := p.last(); found != nil || err != nil {
		return found, err
	}
	// One call for all who wait, of whom each may go: the client bounds its time.
	answer := p.looks.DoChan("", func() (any, error) {
		if found, err := p.last(); found != nil || err != nil { // of a look that has just ended
			return found, err
		}
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.c.Issuer)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.fault, p.again = down(err), time.Now().Add(rest)
			return nil, p.fault
		}
		p.found = found
		return found, nil
	})
	select {
	case <-ctx.Done():
		return nil, down(ctx.Err())
	case r := <-answer:
		found, _ := r.Val.(*oidc.Provider)
		return found, r.Err
	}
}

func (p *Provider) last() (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil && time.Now().Before(p.again) {
		return nil, p.fault
	}
	return p.found, nil
}

func down(err error) error {
	e := job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The identity provider does not answer as it should")
	e.RetryAfter = within
	return e
}

func refused(err error) error {
	return job.Wrap(err, job.Unauthenticated, job.WordBadCredentials, "The identity provider's answer is not good for a sign-in here")
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.c.ClientID, ClientSecret: p.c.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: p.c.Redirect(), Scopes: p.c.Scopes,
	}
}

// Begin is control.IdentityProvider's.
func (p *Provider) Begin(ctx context.Context) (string, control.SignOn, error) {
	found, err := p.look(ctx)
	if err != nil {
		return "", control.SignOn{}, err
	}
	s := control.SignOn{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	return p.oauth(found).AuthCodeURL(s.State, oidc.Nonce(s.Nonce), oauth2.S256ChallengeOption(s.Verifier)), s, nil
}

// Finish is control.IdentityProvider's.
func (p *Provider) Finish(ctx context.Context, code string, s control.SignOn) (control.Identity, error) {
	found, err := p.look(ctx)
	if err != nil {
		return control.Identity{}, err
	}
	before := p.failures.Load()
	answer, err := p.oauth(found).Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(s.Verifier))
	if err != nil {
		return control.Identity{}, p.blame(err, before)
	}
	raw, ok := answer.Extra("id_token").(string)
	if !ok {
		return control.Identity{}, refused(errors.New("the provider gave no ID token"))
	}
	return p.verify(ctx, found, raw, s.Nonce, before, answer)
}

// Verify is control.IdentityProvider's.
func (p *Provider) Verify(ctx context.Context, idToken string) (control.Identity, error) {
	found, err := p.look(ctx)
	if err != nil {
		return control.Identity{}, err
	}
	return p.verify(ctx, found, idToken, "", p.failures.Load(), nil)
}

// blame tells whether it was for the provider's sake that something failed.
func (p *Provider) blame(err error, before int64) error {
	if p.failures.Load() > before {
		return down(err)
	}
	return refused(err)
}

func (p *Provider) verify(
	ctx context.Context, found *oidc.Provider, raw, nonce string, before int64, answer *oauth2.Token,
) (control.Identity, error) {
	ctx, done := context.WithTimeout(oidc.ClientContext(ctx, p.client), within)
	defer done()
	t, err := found.Verifier(&oidc.Config{ClientID: p.c.ClientID, Now: p.c.Now}).Verify(ctx, raw)
	if err != nil {
		return control.Identity{}, p.blame(err, before)
	}
	if nonce != "" && t.Nonce != nonce {
		return control.Identity{}, refused(errors.New("the nonce is another one"))
	}
	claims := map[string]json.RawMessage{}
	if err := t.Claims(&claims); err != nil {
		return control.Identity{}, refused(err)
	}
	if answer != nil && found.UserInfoEndpoint() != "" && (claims[p.c.GroupsClaim] == nil || claims["preferred_username"] == nil) {
		// Many providers keep the ID token small and tell the rest here. It is of the same subject (OpenID Connect Core, 5.3.2).
		info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(answer))
		if err != nil {
			return control.Identity{}, p.blame(err, before)
		}
		more := map[string]json.RawMessage{}
		if info.Subject != t.Subject || info.Claims(&more) != nil {
			return control.Identity{}, refused(errors.New("the user info is of somebody else"))
		}
		for name, value := range more {
			if claims[name] == nil {
				claims[name] = value
			}
		}
	}
	id := p.identity(t, claims)
	// Of a token that a script brings the user info can not be asked for. A provider that was asked and says nothing of groups says that there are
	// none: many leave the claim out then.
	id.GroupsUntold = answer == nil && id.Groups == nil
	return id, nil
}

func (p *Provider) identity(t *oidc.IDToken, claims map[string]json.RawMessage) control.Identity {
	text := func(name string) (s string) {
		_ = json.Unmarshal(claims[name], &s) // of another kind: as if it were not there
		return strings.TrimSpace(s)
	}
	id := control.Identity{
		Subject: job.Subject{Issuer: t.Issuer, ID: t.Subject}, Name: text("preferred_username"), Email: text("email"), FirstName: text("given_name"),
		LastName: text("family_name"),
	}
	_ = json.Unmarshal(claims["email_verified"], &id.EmailVerified)
	if json.Unmarshal(claims[p.c.GroupsClaim], &id.Groups) != nil { // one group may be told as a text
		id.Groups = nil
		if one := text(p.c.GroupsClaim); one != "" {
			id.Groups = []string{one}
		}
	}
	return id
}
