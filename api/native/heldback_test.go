package native_test

import (
	"io"
	"strings"
	"testing"
	"time"
)

func (f *fixture) held(text string, meanwhile func()) io.Reader {
	return f.HeldBack(strings.NewReader(text), meanwhile)
}

// TestABodyHeldBackKeepsNoRights: a call whose body comes later has the rights of then, not of when it began.
func TestABodyHeldBackKeepsNoRights(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := map[string]int64{}
	for _, name := range []string{"ann", "bob", "cat", "dot"} {
		u := f.User(t, name, "tulips-of-"+name)
		ids[name] = u.ID
		u.Admin = true
		if _, err := f.Store.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	config, admin := f.config("orders", "run.sh"), f.token
	deactivated := func(name string) func() {
		return func() {
			if _, err := f.Store.SetUserActive(t.Context(), f.account, ids[name], false, f.Now()); err != nil {
				t.Error(err)
			}
		}
	}
	as := func(name string) { f.token = f.login(name, "tulips-of-"+name) }

	as("ann")
	f.do("POST", "/api/users", f.held(`{"username":"eve","password":"carnations-of-eve","admin":true}`, deactivated("ann"))).fault(t, 401, "token_invalid", "")
	as("bob")
	f.do("POST", "/api/apikeys", f.held(`{"name":"thief's"}`, func() {
		if _, err := f.Store.SetPassword(t.Context(), f.account, ids["bob"], "", f.Now()); err != nil {
			t.Error(err)
		}
	})).fault(t, 401, "token_invalid", "")
	as("cat")
	f.do("POST", "/api/jobconfigs/"+config+"/jobs", f.held(`{}`, deactivated("cat"))).fault(t, 401, "token_invalid", "")
	as("dot")
	f.do("POST", "/api/jobconfigs/"+config+"/files?key=b.sh", f.held("#!/bin/sh\n", deactivated("dot")),
		header("Content-Type", "application/octet-stream")).fault(t, 401, "token_invalid", "")

	f.token = admin
	f.do("GET", "/api/users?filterby=username&operators=eq&filter=eve", nil).want(t, 200, `{"totalRecords":0}`)
	f.do("GET", "/api/apikeys", nil).want(t, 200, `{"totalRecords":0}`)
	f.do("GET", "/api/jobs", nil).want(t, 200, `{"totalRecords":0}`)
	f.do("GET", "/api/jobconfigs/"+config+"/files", nil).want(t, 200, `{"totalRecords":1}`)
	// Who is who they were may be slow; what a role or a policy gave and no longer gives is gone.
	f.do("POST", "/api/jobconfigs", f.held(`{"name":"slow"}`, func() {})).want(t, 201, "")
	u := f.User(t, "fay", "tulips-of-fay")
	u.Admin = true
	u, err := f.Store.UpdateUser(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	as("fay")
	f.do("PUT", "/api/jobconfigs/"+config, f.held(`{"name":"fay's"}`, func() {
		u.Admin = false
		if _, err := f.Store.UpdateUser(t.Context(), u); err != nil {
			t.Error(err)
		}
	})).fault(t, 403, "access_denied", "")
}

// dripping is a body of which a byte comes now and then.
type dripping struct{ f *fixture }

func (d dripping) Read(p []byte) (int, error) {
	d.f.Pass(10 * time.Second)
	p[0] = ' '
	return 1, nil
}

func TestABodyThatDripsIsGivenUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("POST", "/api/jobconfigs", dripping{f})
	r.fault(t, 400, "invalid_field", "The body was not sent within 30 seconds")
	if r.Header().Get("Connection") != "close" {
		t.Error("the server goes on to read the rest")
	}
}
