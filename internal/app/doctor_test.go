package app

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"waybill/internal/app/settings"
	"waybill/internal/sandbox"
	"waybill/internal/secret"
	"waybill/storage/sqlstore"
)

// levels are the worst level of each id.
func levels(findings []Finding) map[string]Level {
	rank := map[Level]int{LevelOK: 0, LevelWarn: 1, LevelFail: 2}
	all := map[string]Level{}
	for _, f := range findings {
		if was, seen := all[f.ID]; !seen || rank[f.Level] > rank[was] {
			all[f.ID] = f.Level
		}
	}
	return all
}

// The doctor finds what is broken on purpose, and nothing of that once it is set up; it shows no secret.
func TestTheDoctorOnRealComponents(t *testing.T) {
	s := external(t)
	s.Listen = "127.0.0.1:0"
	want := func(when string, ids map[string]Level) {
		t.Helper()
		findings := Diagnose(t.Context(), s)
		got := levels(findings)
		for id, level := range ids {
			if got[id] != level {
				t.Errorf("%s: %s is %q, want %s", when, id, got[id], level)
			}
		}
		for _, f := range findings {
			if text := f.Finding + f.Advice; strings.Contains(text, s.MasterKey) || strings.Contains(text, s.S3.SecretKey) || strings.Contains(text, s.Database.URL) {
				t.Errorf("%s: a secret is shown: %+v", when, f)
			}
			if f.Level != LevelOK && f.Advice == "" {
				t.Errorf("%s: no advice: %+v", when, f)
			}
		}
	}
	want("before", map[string]Level{"database.reach": LevelOK, "database.schema": LevelFail, "temporal.reach": LevelOK, "temporal.namespace": LevelFail})
	s.AdminPassword = "a-given-password"
	s.S3.CreateBucket = true
	if _, err := Setup(t.Context(), s, quiet(), SetupOptions{NamespaceRetention: 24 * time.Hour, Tell: func(string, string) {}}); err != nil {
		t.Fatal(err)
	}
	want("after", map[string]Level{
		"database.schema": LevelOK, "keys.sealing": LevelOK, "objects.probe": LevelOK, "objects.policy": LevelOK, "temporal.namespace": LevelOK,
		"temporal.attributes": LevelOK, "temporal.pollers": LevelWarn, "clock.skew": LevelOK,
		"temporal.claim": LevelOK, "temporal.sealing": LevelWarn, "database.version": LevelOK, "temporal.version": LevelOK, "objects.lifecycle": LevelOK, "database.zone": LevelOK, "database.encoding": LevelOK,
	})
	public(t, s, true)
	other := secret.NewKey().Text()
	s.MasterKey, other = other, s.MasterKey
	want("public, with another's key", map[string]Level{"objects.policy": LevelFail, "keys.sealing": LevelFail, "temporal.claim": LevelWarn})
	public(t, s, false)
	s.MasterKey = other
	s.MasterKey = secret.NewKey().Text()
	s.S3.SecretKey = "wrong-secret-key"
	s.Temporal.Address = "127.0.0.1:1"
	want("broken", map[string]Level{"keys.sealing": LevelFail, "objects.reach": LevelFail, "temporal.reach": LevelFail, "database.reach": LevelOK})
}

// public lets everybody read the bucket, or nobody any more.
func public(t *testing.T, s settings.Settings, open bool) {
	t.Helper()
	c, err := minio.New(s.S3.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s.S3.AccessKey, s.S3.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	policy := ""
	if open {
		policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + s.S3.Bucket + `/*"]}]}`
	}
	if err := c.SetBucketPolicy(t.Context(), s.S3.Bucket, policy); err != nil {
		t.Fatal(err)
	}
}

// A mail server is one that greets, and protects mail as the settings want it.
func TestTheDoctorAndTheMailServer(t *testing.T) {
	for name, c := range map[string]struct {
		greeting, tls, id string
		level             Level
	}{
		"greets":            {"220 mail.example.com ESMTP", "none", "smtp.greeting", LevelOK},
		"is something else": {"SSH-2.0-x", "none", "smtp.greeting", LevelFail},
		"knows no STARTTLS": {"220 mail.example.com ESMTP", "starttls", "smtp.tls", LevelFail},
		"is none with TLS":  {"220 mail.example.com ESMTP", "tls", "smtp.greeting", LevelFail},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				fmt.Fprint(conn, c.greeting, "\r\n")
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprint(conn, "250 mail.example.com\r\n")
				}
			}()
			d := &doctor{}
			d.settings.SMTP = settings.SMTP{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: c.tls}
			limit := time.Minute
			if name == "is something else" { // and may never say more: the doctor waits as long as each of its checks may take
				limit = 3 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			if got := levels(d.mail(ctx)); len(got) != 1 || got[c.id] != c.level {
				t.Errorf("%v, want %s %s", got, c.id, c.level)
			}
		})
	}
}

// Whose the namespace is, and whether clocks agree, is told of what the checks have read.
func TestTheDoctorComparesWhatItRead(t *testing.T) {
	for want, d := range map[Level]*doctor{
		LevelOK: {claimRead: true, claimed: "a", mine: "a"}, LevelFail: {claimRead: true, claimed: "a", mine: "b"}, LevelWarn: {claimRead: true},
	} {
		if got := d.claim(); len(got) != 1 || got[0].Level != want {
			t.Errorf("%s: %v", want, got)
		}
	}
	d := &doctor{clocks: map[string]time.Duration{"database": 4 * time.Second, "object store": -4 * time.Second}}
	if got := d.skew(); len(got) != 3 || got[2].Level != LevelFail {
		t.Errorf("%v", got)
	}
	if got := (&doctor{}).inspected(sqlstore.Inspection{Encoding: "LATIN1", ReadOnly: true}, sqlstore.Config{Driver: sqlstore.Postgres}); levels(got)["database.encoding"] != LevelFail ||
		levels(got)["database.writable"] != LevelFail || levels(got)["database.tls"] != LevelWarn || levels(got)["database.connections"] != LevelWarn {
		t.Errorf("%v", got)
	}
}

// Servers that are too old are told of, whatever they add to their version.
func TestTheDoctorRefusesOldServers(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]Level{
		"13.22": LevelFail, "9.6.24": LevelFail, "13.22 (Debian 13.22-0+deb11u1)": LevelFail, "14.0": LevelOK, "14beta1": LevelOK,
		"15.14 (Debian 15.14-0+deb12u1)": LevelOK, "18devel": LevelOK, "": LevelWarn, "unknown": LevelWarn,
	} {
		list := (&doctor{}).inspected(sqlstore.Inspection{Version: version}, sqlstore.Config{Driver: sqlstore.Postgres})
		if got := levels(list)["database.version"]; got != want {
			t.Errorf("PostgreSQL %q: %s, want %s", version, got, want)
		}
	}
	for version, want := range map[string]Level{
		"1.9.0": LevelFail, "1.28.3": LevelFail, "1.28.0-148.0": LevelFail, "1.29.0": LevelOK, "1.29.0-148.0": LevelOK, "1.32.1": LevelOK, "v2.0": LevelOK, "": LevelWarn,
	} {
		if f := temporalVersion(version); f.Level != want || f.Level != LevelOK && f.Advice == "" {
			t.Errorf("Temporal %q: %+v, want %s", version, f, want)
		}
	}
	lite := (&doctor{}).inspected(sqlstore.Inspection{Version: "3.50.4"}, sqlstore.Config{Driver: sqlstore.SQLite})
	if got := levels(lite)["database.version"]; got != LevelOK {
		t.Errorf("SQLite: %s", got)
	}
}

func TestTheDoctorTellsOfTheSandboxInForce(t *testing.T) {
	d := &doctor{parts: parts{settings: settings.Settings{Sandbox: "off"}, log: quiet()}}
	if f := d.sandboxFinding(t.Context()); f.Level != LevelWarn || !strings.Contains(f.Advice, "auto") {
		t.Errorf("off: %+v", f)
	}
	d.settings.Sandbox = "auto"
	box, err := sandbox.New(t.Context(), sandbox.Config{Mode: sandbox.Auto, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close() //nolint:errcheck // nothing ran in it
	f := d.sandboxFinding(t.Context())
	if !strings.Contains(f.Finding, box.String()) || (f.Level == LevelOK) != (box.Enforced() && box.Rooms()) {
		t.Errorf("auto: %+v, a worker's is %s", f, box)
	}
	d.settings.Sandbox = "none"
	if f := d.sandboxFinding(t.Context()); f.Level != LevelFail || f.Advice == "" {
		t.Errorf("a mode that there is not: %+v", f)
	}
}
