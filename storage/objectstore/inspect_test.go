package objectstore

import "testing"

func TestWhichPoliciesArePublic(t *testing.T) {
	for policy, want := range map[string]bool{
		"":                 false,
		"not JSON":         true,
		`{"Statement":[]}`: false,
		`{"Statement":[{"Effect":"Allow","Principal":"*"}]}`:                                      true,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::1:root","*"]}}]}`:      true,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Condition":{"IpAddress":{}}}]}`: false,
		`{"Statement":[{"Effect":"Deny","Principal":"*"}]}`:                                       false,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"}}]}`:            false,
	} {
		if got := isPublic(policy); got != want {
			t.Errorf("%s: %t", policy, got)
		}
	}
}
