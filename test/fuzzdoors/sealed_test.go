package fuzzdoors

import (
	gocontext "context"
	"regexp"
	"testing"
)

// sealedText is what sealing makes of a secret, alone or inside of JSON.
var sealedText = regexp.MustCompile(`\bv[12]:[0-9A-Za-z+/_=:-]{40,}`)

// Every column in which a sealed secret is found is one that the rotation of keys looks through: of another, the secrets would be lost
// with the key that was dropped.
func TestKeysAreLookedForWhereSecretsAre(t *testing.T) {
	w := newWorld(t)
	secure := []any{map[string]any{"key": "TOKEN", "value": "not-a-secret", "secure": true}}
	callbacks := []any{map[string]any{"url": "https://a.example/x", "secret": "not-a-secret"}}
	id, _ := w.call(201, "POST", "/api/jobconfigs", map[string]any{
		"name": "sealed", "runtimeConfig": map[string]any{"packageName": "run.zip", "entryPoint": "main.sh", "macros": secure}, "callbacks": callbacks,
	})["id"].(string)
	w.call(201, "POST", "/api/jobconfigs/"+id+"/files?key=run.zip", archive(t), "Content-Type", "application/octet-stream")
	w.call(201, "POST", "/api/jobconfigs/"+id+"/schedule", map[string]any{
		"cronSchedule": "0 3 * * *", "webhookConfig": map[string]any{"endpoint": "https://a.example/x", "headers": map[string]string{"Authorization": "not-a-secret"}},
	})
	w.call(202, "POST", "/api/jobconfigs/"+id+"/jobs", map[string]any{"runtimeConfig": map[string]any{"macros": secure}, "callbacks": callbacks})

	looked := map[string]bool{}
	store, ok := w.Store.(interface {
		EachSealed(ctx gocontext.Context, see func(place, text string) (string, error)) error
	})
	if !ok {
		t.Fatal("the store does not keep sealing keys")
	}
	if err := store.EachSealed(t.Context(), func(place, text string) (string, error) {
		looked[place] = true
		return text, nil
	}); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, table := range w.tableNames() {
		if table == "sealing_keys" { // the keys themselves, which only master keys open
			continue
		}
		w.each(table, func(column string, v []byte) {
			if sealedText.Match(v) {
				found[table+"."+column] = true
			}
		})
	}
	for _, place := range []string{"job_configs.runtime", "job_configs.rules", "jobs.spec", "schedules.rule"} {
		if !found[place] {
			t.Errorf("no sealed secret in %s: what is found is %v", place, sorted(found))
		}
	}
	for _, place := range sorted(found) {
		if !looked[place] {
			t.Errorf("%s holds sealed secrets, and is not looked through when a key is dropped", place)
		}
	}
}
