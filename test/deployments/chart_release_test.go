package deployments

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheSetUpCanBeMended: Kubernetes takes no other pod for a Job that is there, so a Job with another pod has another name. Labels that
// change with each version are not in the pod.
func TestTheSetUpCanBeMended(t *testing.T) {
	t.Parallel()
	job := func(out string) (name, pod string) {
		for _, d := range documents(t, []byte(out)) {
			if d["kind"] == "Job" {
				text, err := json.Marshal(dig(d, "spec", "template"))
				if err != nil {
					t.Fatal(err)
				}
				return dig(d, "metadata", "name").(string), string(text)
			}
		}
		t.Fatal("no Job")
		return "", ""
	}
	first, pod := job(rendered(t, "full"))
	for _, set := range []string{
		"setup.resources.limits.memory=3Gi", "image.pullSecrets[0].name=other", "podSecurityContext.runAsUser=1000", "securityContext.privileged=false",
		"serviceAccount.name=other", "image.tag=2.0.0", "image.pullPolicy=Always", "settings.dates=rfc3339", "secrets.existingSecret=other",
	} {
		out, err := render(t, "--values", at("helm", "waybill", "ci", "full.yaml"), "--set", set)
		if err != nil {
			t.Fatal(out)
		}
		if name, other := job(out); other == pod || name == first {
			t.Errorf("%s: the Job is still %s, its pod another: %t", set, name, other != pod)
		}
	}
	for _, set := range []string{"setup.activeDeadlineSeconds=7200", "setup.backoffLimit=9", "secrets.externalSecret.keys.database.key=other"} {
		out, err := render(t, "--values", at("helm", "waybill", "ci", "full.yaml"), "--set", set)
		if err != nil {
			t.Fatal(out)
		}
		if name, _ := job(out); name == first {
			t.Errorf("%s: the Job is still %s, which does not run again if it has failed", set, name)
		}
	}
	later := filepath.Join(t.TempDir(), "waybill")
	if err := os.CopyFS(later, os.DirFS(at("helm", "waybill"))); err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(later, "Chart.yaml")
	write(t, chart, strings.Replace(string(read(t, chart)), "\nversion: ", "\nversion: 9", 1))
	out := must(t, tool(t, "helm"), "template", "release", later, "--kube-version", kubeVersion+".0", "--values", filepath.Join(later, "ci", "full.yaml"))
	if !strings.Contains(out, "helm.sh/chart: waybill-9") {
		t.Fatal("the chart's version is not another")
	}
	if name, other := job(out); name != first || other != pod {
		t.Errorf("a chart of another version alone makes the Job %s of %s", name, first)
	}
}

// TestHelmTestCanPull: its pod has of a registry what the others have.
func TestHelmTestCanPull(t *testing.T) {
	t.Parallel()
	out, err := render(t, "--values", at("helm", "waybill", "ci", "full.yaml"), "--set", "image.pullPolicy=Always")
	if err != nil {
		t.Fatal(out)
	}
	tested := made(t, out, "Pod", "wb-ready")["spec"]
	api := dig(made(t, out, "Deployment", "wb-api"), "spec", "template", "spec")
	for _, member := range []string{"imagePullSecrets", "serviceAccountName"} {
		want, _ := json.Marshal(dig(api, member))
		if got, _ := json.Marshal(dig(tested, member)); string(got) != string(want) || string(got) == "null" {
			t.Errorf("%s is %s, that of the API %s", member, got, want)
		}
	}
	if policy := dig(dig(tested, "containers").([]any)[0], "imagePullPolicy"); policy != "Always" {
		t.Errorf("it pulls %v", policy)
	}
}

// TestExternalSecretsTakeAnyKey that settings name a file of.
func TestExternalSecretsTakeAnyKey(t *testing.T) {
	t.Parallel()
	values := write(t, filepath.Join(t.TempDir(), "keys.yaml"), `
s3: {role: true}
settings: {temporal-tls-cert: /run/secrets/waybill/client.crt, s3-session-token-file: /run/secrets/waybill/s3-session-token}
secrets: {externalSecret: {keys: {client.crt: {key: tls, property: cert}, oidc-client-secret: {key: oidc}, s3-session-token: {key: s3}}}}
`)
	out, err := render(t, "--values", at("helm", "waybill", "ci", "full.yaml"), "--values", values)
	if err != nil {
		t.Fatal(out)
	}
	kept := map[string]string{}
	for _, one := range dig(made(t, out, "ExternalSecret", "wb"), "spec", "data").([]any) {
		kept[text(dig(one, "secretKey"))] = text(dig(one, "remoteRef", "key"))
	}
	for key, remote := range map[string]string{"client.crt": "tls", "oidc-client-secret": "oidc", "s3-session-token": "s3", "smtp-password": "waybill"} {
		if kept[key] != remote {
			t.Errorf("the key %s is that of %q, want %q", key, kept[key], remote)
		}
	}
	if _, there := kept["s3-secret-key"]; there {
		t.Error("a key of the object store is asked for where pods have a role")
	}
}
