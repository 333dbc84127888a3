package app

import (
	"waybill/internal/control"
	"waybill/internal/password"
	"waybill/internal/secret"
	"waybill/internal/sso"
)

// newPeople is what people can do with users.
func (p *parts) newPeople(sessions *control.Sessions, hasher *password.Hasher) *control.People {
	return &control.People{
		Users: p.store, Store: p.store, Directory: p.store, History: p.store, Jobs: p.store, Configs: p.store, Sessions: sessions, Hasher: hasher, Now: p.now,
		Elsewhere: p.settings.OIDC.Issuer != "",
		MailBinds: p.settings.OIDC.Issuer != "" && control.MatchBy(p.settings.OIDC.Match) == control.MatchEmail,
	}
}

// newSignOn is single sign-on, if there is any.
func (p *parts) newSignOn(sessions *control.Sessions) *control.SingleSignOn {
	o := p.settings.OIDC
	if o.Issuer == "" {
		return nil
	}
	return &control.SingleSignOn{
		Provider: sso.New(sso.Config{
			Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret, Redirect: func() string { return p.url() + "/api/login/oidc/callback" },
			Scopes: o.Scopes, GroupsClaim: o.GroupsClaim, Now: p.now,
		}),
		Sessions: sessions, Store: p.store, Directory: p.store, Users: p.store, Now: p.now,
		Account: o.Account, AdminGroups: o.AdminGroups, Groups: o.Groups, Match: control.MatchBy(o.Match), Create: o.Create, Session: o.Session, Exchange: o.Exchange,
	}
}

// signOnBox seals what a browser remembers of a sign-on under way.
func (p *parts) signOnBox() secret.Box { return p.keyring.Ring.Box("sign-on") }
