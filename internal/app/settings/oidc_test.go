package settings

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func loadOIDC(t *testing.T, values map[string]string) (OIDC, error) {
	t.Helper()
	for name, value := range values {
		t.Setenv(EnvName(name), value)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, Up)
	s, err := Load(flags)
	return s.OIDC, err
}

func TestSingleSignOnIsReadFromTheSettings(t *testing.T) {
	o, err := loadOIDC(t, map[string]string{
		"oidc-issuer": "https://idp.example.com/realm", "oidc-client-id": "waybill", "oidc-client-secret": "not shown", "oidc-admin-groups": "ops, root,",
		"oidc-match": "email", "oidc-create": "false", "oidc-session": "8h",
	})
	if err != nil || o.Issuer != "https://idp.example.com/realm" || o.ClientSecret != "not shown" || strings.Join(o.AdminGroups, "|") != "ops|root" || o.Groups != nil ||
		o.Match != "email" || o.Create || o.Exchange || o.Session.Hours() != 8 || strings.Join(o.Scopes, " ") != "openid profile email" || o.GroupsClaim != "groups" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestNoSingleSignOnUnlessAskedFor(t *testing.T) {
	if o, err := loadOIDC(t, nil); err != nil || o.Issuer != "" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestBadSingleSignOnIsRefused(t *testing.T) {
	for part, values := range map[string]map[string]string{
		"oidc-client-id":    {"oidc-issuer": "https://idp.example.com"},
		"https://":          {"oidc-issuer": "http://idp.example.com", "oidc-client-id": "x"},
		"oidc-issuer":       {"oidc-issuer": "idp.example.com", "oidc-client-id": "x"},
		"openid":            {"oidc-issuer": "http://localhost:9998", "oidc-client-id": "x", "oidc-scopes": "profile"},
		"oidc-match":        {"oidc-match": "guess"},
		"oidc-session":      {"oidc-session": "1s"},
		"oidc-groups-claim": {"oidc-groups-claim": ""},
	} {
		t.Run(part, func(t *testing.T) {
			if _, err := loadOIDC(t, values); err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%v", err)
			}
		})
	}
}
