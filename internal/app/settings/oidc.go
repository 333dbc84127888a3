package settings

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// OIDC is single sign-on at an OpenID Connect provider. Without an Issuer there is none.
type OIDC struct {
	Issuer, ClientID, ClientSecret string

	Scopes              []string
	GroupsClaim         string
	AdminGroups, Groups []string
	Account, Match      string
	Create, Exchange    bool
	Session             time.Duration
}

var oidcSettings = []setting{
	{name: "oidc-issuer", only: servers, help: "issuer of the OpenID Connect provider that people sign in at, such as https://idp.example.com (default: no single sign-on)"},
	{name: "oidc-client-id", only: servers, help: "client id of Waybill at the provider, where its redirect address is BASE-URL/api/login/oidc/callback"},
	{name: "oidc-client-secret", only: servers, secret: true, help: "client secret of Waybill at the provider; none for a public client"},
	{name: "oidc-scopes", value: "openid profile email", only: servers, help: "scopes that are asked for"},
	{name: "oidc-groups-claim", value: "groups", only: servers, help: "claim that names the user's groups"},
	{name: "oidc-admin-groups", only: servers, help: "groups, with commas, whose members are admins; others are then none (default: the provider has no say in that)"},
	{name: "oidc-groups", only: servers, help: "groups, with commas, whose members may sign in, beside admins (default: everybody the provider lets in)"},
	{name: "oidc-account", value: "default", only: servers, help: "account of the users who sign in at the provider"},
	{name: "oidc-match", value: "subject", only: servers, help: "how a user who is there is found at the first sign-on: subject (not at all), username, or email (verified by the provider)"},
	{name: "oidc-create", value: "true", flag: true, only: servers, help: "make a user for who has none"},
	{name: "oidc-session", value: "24h", only: servers, help: "time after which who signed in at the provider has to do so again"},
	{name: "oidc-exchange", value: "false", flag: true, only: servers, help: "take the provider's ID tokens at POST /login/oidc"},
}

func (p *parser) oidc() OIDC {
	o := OIDC{
		Issuer: p.k.String("oidc-issuer"), ClientID: p.k.String("oidc-client-id"), ClientSecret: p.k.String("oidc-client-secret"),
		Scopes: strings.Fields(p.k.String("oidc-scopes")), GroupsClaim: p.text("oidc-groups-claim"),
		AdminGroups: p.list("oidc-admin-groups"), Groups: p.list("oidc-groups"), Account: p.text("oidc-account"),
		Match: p.word("oidc-match", "subject", "username", "email"), Create: p.truth("oidc-create"), Exchange: p.truth("oidc-exchange"),
		Session: p.duration("oidc-session", time.Minute, 30*24*time.Hour),
	}
	if o.Issuer == "" {
		return o
	}
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		p.fault("oidc-issuer", "is a URL such as https://idp.example.com, not %q", o.Issuer)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		p.fault("oidc-issuer", "must begin with https://: whoever can change an answer of the provider could sign in as anybody")
	}
	if o.ClientID == "" {
		p.fault("oidc-client-id", "must not be empty with --oidc-issuer")
	}
	if !slices.Contains(o.Scopes, "openid") {
		p.fault("oidc-scopes", "must have openid among them")
	}
	return o
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// list reads texts with commas between them.
func (p *parser) list(name string) (all []string) {
	for one := range strings.SplitSeq(p.k.String(name), ",") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}
