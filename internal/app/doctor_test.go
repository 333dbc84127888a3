package app

import (
	"strings"
	"testing"
	"time"

	"waybill/internal/secret"
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
	})
	s.MasterKey = secret.NewKey().Text()
	s.S3.SecretKey = "wrong-secret-key"
	s.Temporal.Address = "127.0.0.1:1"
	want("broken", map[string]Level{"keys.sealing": LevelFail, "objects.reach": LevelFail, "temporal.reach": LevelFail, "database.reach": LevelOK})
}
