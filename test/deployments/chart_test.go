package deployments

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// kubeVersion is the Kubernetes that the chart is rendered for.
const kubeVersion = "1.34"

var valueFiles = []string{"minimal", "full"}

func render(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return try(t, tool(t, "helm"), append([]string{"template", "release", at("helm", "waybill"), "--kube-version", kubeVersion + ".0"}, args...)...)
}

func rendered(t *testing.T, values string) string {
	t.Helper()
	out, err := render(t, "--values", at("helm", "waybill", "ci", values+".yaml"))
	if err != nil {
		t.Fatal(out)
	}
	return out
}

func TestChartIsWellFormed(t *testing.T) {
	t.Parallel()
	for _, values := range valueFiles {
		must(t, tool(t, "helm"), "lint", "--strict", "--kube-version", kubeVersion+".0", "--values", at("helm", "waybill", "ci", values+".yaml"), at("helm", "waybill"))
	}
}

func TestKubernetesTakesWhatTheChartMakes(t *testing.T) {
	t.Parallel()
	validate := tool(t, "kubernetes-validate")
	for _, values := range valueFiles {
		out := must(t, validate, "--strict", "-k", kubeVersion, write(t, filepath.Join(t.TempDir(), values+".yaml"), rendered(t, values)))
		for line := range strings.Lines(out) {
			// Kinds of others are checked against their own definitions, below.
			if strings.HasPrefix(line, "WARN") && !strings.Contains(line, "Couldn't find schema for kind") {
				t.Error(line)
			}
		}
		if !strings.Contains(out, "deployment/") {
			t.Errorf("nothing was checked:\n%s", out)
		}
	}
	broken := strings.Replace(rendered(t, "minimal"), "containers:", "containres:", 1)
	if out, err := try(t, validate, "--strict", "-k", kubeVersion, write(t, filepath.Join(t.TempDir(), "broken.yaml"), broken)); err == nil {
		t.Errorf("a broken text was taken:\n%s", out)
	}
}

// definitions are where others define their kinds.
var definitions = map[string][2]string{
	"ServiceMonitor": {"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	"PodMonitor":     {"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"},
	"PrometheusRule": {"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	"ScaledObject":   {"github.com/kedacore/keda/v2@v2.18.1", "config/crd/bases/keda.sh_scaledobjects.yaml"},
	"ExternalSecret": {"github.com/external-secrets/external-secrets@v0.20.4", "config/crds/bases/external-secrets.io_externalsecrets.yaml"},
}

func TestOthersTakeTheKindsTheyDefine(t *testing.T) {
	t.Parallel()
	checked := map[string]int{}
	for _, d := range documents(t, []byte(rendered(t, "full"))) {
		kind := text(d["kind"])
		source, there := definitions[kind]
		if !there {
			continue
		}
		schema := definition(t, filepath.Join(module(t, source[0]), source[1]), text(d["apiVersion"]))
		if err := schema.Validate(d); err != nil {
			t.Errorf("%s %v: %v", kind, dig(d, "metadata", "name"), err)
		}
		d["spec"].(map[string]any)["noSuchMember"] = true
		if schema.Validate(d) == nil {
			t.Errorf("the definition of %s takes anything", kind)
		}
		checked[kind]++
	}
	for kind := range definitions {
		if checked[kind] == 0 {
			t.Errorf("the chart made no %s", kind)
		}
	}
}

// definition compiles the schema of one version of a CustomResourceDefinition.
func definition(t *testing.T, file, apiVersion string) *jsonschema.Schema {
	t.Helper()
	_, version, _ := strings.Cut(apiVersion, "/")
	for _, v := range dig(documents(t, read(t, file))[0], "spec", "versions").([]any) {
		if text(dig(v, "name")) != version {
			continue
		}
		schema := dig(v, "schema", "openAPIV3Schema").(map[string]any)
		for _, known := range []string{"apiVersion", "kind", "metadata"} {
			schema["properties"].(map[string]any)[known] = map[string]any{}
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("crd.json", closed(schema)); err != nil {
			t.Fatal(err)
		}
		compiled, err := compiler.Compile("crd.json")
		if err != nil {
			t.Fatal(err)
		}
		return compiled
	}
	t.Fatalf("%s has no version %q", file, version)
	return nil
}

// closed turns a structural schema of Kubernetes into a JSON schema: members it does not name are refused, as the API server
// drops them.
func closed(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = closed(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = closed(v[key])
		}
		_, named := v["properties"].(map[string]any)
		if _, open := v["additionalProperties"]; named && !open && v["type"] == "object" && v["x-kubernetes-preserve-unknown-fields"] == nil {
			v["additionalProperties"] = false
		}
		if v["x-kubernetes-int-or-string"] == true {
			delete(v, "type")
		}
		delete(v, "format")
	}
	return v
}

func TestChartRefusesWhatItCanNotDo(t *testing.T) {
	t.Parallel()
	minimal := func(set string) []string {
		return []string{"--values", at("helm", "waybill", "ci", "minimal.yaml"), "--set", set}
	}
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"no secrets", []string{"--set", "temporal.address=t:7233,s3.endpoint=s:9000"}, "secrets.existingSecret"},
		{"no Temporal", []string{"--set", "s3.endpoint=s:9000,secrets.existingSecret=x"}, "temporal.address is required"},
		{"no object store", []string{"--set", "temporal.address=t:7233,secrets.existingSecret=x"}, "s3.endpoint is required"},
		{"a secret among the settings", minimal("settings.master-key=x"), "propertyName 'master-key'"},
		{"a setting the chart sets", minimal("api.settings.listen=x"), "propertyName 'listen'"},
		{"an unknown value", minimal("api.replica=3"), "replica"},
		{"a wrong type", minimal("api.replicas=many"), "replicas"},
		{"an API key that no Secret has", []string{"--values", at("helm", "waybill", "ci", "full.yaml"), "--set", "temporal.apiKey=true"}, "temporal-api-key.key is required"},
		{"an ingress without a host", minimal("ingress.enabled=true"), "ingress.host"},
		{"metrics that Prometheus may not reach", []string{"--values", at("helm", "waybill", "ci", "full.yaml"), "--set", "networkPolicy.metricsFrom=null"}, "networkPolicy.metricsFrom must be set"},
		{"no worker at all", minimal("workers[0].name=a,workers[0].destination=a,workers[0].replicas=1,workers[0].concurrency=1,workers[0].taskQueue=q," +
			"workers[0].drainTimeout=1s,workers[0].terminationGracePeriodSeconds=60,workers[0].dataSizeLimit=1Gi,workers[0].autoscaling.by=keda," +
			"workers[0].autoscaling.minReplicas=0"), "minReplicas"},
		{"KEDA without a queue", minimal("workers[0].name=a,workers[0].destination=a,workers[0].replicas=1,workers[0].concurrency=1," +
			"workers[0].drainTimeout=1s,workers[0].terminationGracePeriodSeconds=60,workers[0].dataSizeLimit=1Gi,workers[0].autoscaling.by=keda"), "taskQueue is required"},
	} {
		if out, err := render(t, c.args...); err == nil || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}

// TestTheChartNeedsNoKeysThatThereAreNot: pods with a role of the cloud have no keys of the object store, and what Temporal wants of its
// clients is given to all processes and to KEDA.
func TestTheChartNeedsNoKeysThatThereAreNot(t *testing.T) {
	const values = "s3.role=true,temporal.apiKey=true,secrets.externalSecret.keys.s3-access-key=null,secrets.externalSecret.keys.s3-secret-key=null," +
		"secrets.externalSecret.keys.temporal-api-key.key=cloud"
	out, err := render(t, "--values", at("helm", "waybill", "ci", "full.yaml"), "--set", values)
	if err != nil {
		t.Fatal(out)
	}
	if strings.Contains(out, "s3-access-key") || strings.Contains(out, "s3-secret-key") {
		t.Error("a key of the object store is asked for")
	}
	commands := chartCommands(t, "full, with roles", out)
	for _, c := range commands {
		if c.env["WAYBILL_TEMPORAL_API_KEY_FILE"] != "/run/secrets/waybill/temporal-api-key" {
			t.Errorf("%s has no API key of Temporal", c.where)
		}
		c.check(t)
	}
	kept, auth := "", ""
	for _, d := range documents(t, []byte(out)) {
		switch text(d["kind"]) {
		case "ExternalSecret":
			for _, one := range dig(d, "spec", "data").([]any) {
				kept += " " + text(dig(one, "secretKey"))
			}
		case "ScaledObject":
			auth = text(dig(dig(d, "spec", "triggers").([]any)[0], "authenticationRef", "name"))
		}
	}
	if len(commands) != 4 || kept != " admin-password database master-key smtp-password temporal-api-key" || auth != "temporal" {
		t.Errorf("%d commands, a secret with%s, KEDA by %q", len(commands), kept, auth)
	}
	if strings.Contains(rendered(t, "full"), "temporal-api-key") {
		t.Error("an API key is asked for where Temporal wants none")
	}
}

// What has to hold of every pod the chart makes.
func TestPodsMayDoNextToNothing(t *testing.T) {
	t.Parallel()
	pods := 0
	for _, values := range valueFiles {
		for _, d := range documents(t, []byte(rendered(t, values))) {
			spec := dig(d, "spec", "template", "spec")
			if d["kind"] == "Pod" {
				spec = d["spec"]
			}
			if dig(spec, "containers") != nil {
				pods++
				checkPod(t, fmt.Sprintf("%s: %v %v", values, d["kind"], dig(d, "metadata", "name")), spec, d["kind"] == "Deployment")
			}
		}
	}
	if pods < 6 {
		t.Errorf("only %d pods", pods)
	}
}

func checkPod(t *testing.T, who string, spec any, lasting bool) {
	t.Helper()
	if dig(spec, "securityContext", "runAsNonRoot") != true || dig(spec, "automountServiceAccountToken") != false {
		t.Errorf("%s runs as root or has a token of Kubernetes", who)
	}
	for _, c := range dig(spec, "containers").([]any) {
		s := dig(c, "securityContext")
		if dig(s, "readOnlyRootFilesystem") != true || dig(s, "allowPrivilegeEscalation") != false || fmt.Sprint(dig(s, "capabilities", "drop")) != "[ALL]" {
			t.Errorf("%s: %v", who, s)
		}
		if dig(c, "resources", "limits", "memory") == nil || dig(c, "resources", "requests", "memory") == nil {
			t.Errorf("%s has no bounds of memory", who)
		}
		if lasting && (dig(c, "readinessProbe") == nil || dig(c, "livenessProbe") == nil || dig(c, "startupProbe") == nil) {
			t.Errorf("%s lacks a probe", who)
		}
	}
}

// Helm takes no files from outside of the chart, so it has a copy of the alerts.
func TestTheChartHasTheAlertsOfThisVersion(t *testing.T) {
	t.Parallel()
	if string(read(t, at("helm", "waybill", "files", "alerts.yml"))) != string(read(t, at("prometheus", "alerts.yml"))) {
		t.Error("deployments/helm/waybill/files/alerts.yml is not deployments/prometheus/alerts.yml: copy it")
	}
}

// Prometheus asks services of the compose file by their names.
func TestPrometheusAsksServicesThatAreThere(t *testing.T) {
	t.Parallel()
	services := composeServices(t)
	asked := 0
	for _, job := range documents(t, read(t, at("prometheus", "prometheus.yml")))[0]["scrape_configs"].([]any) {
		discovered, _ := dig(job, "dns_sd_configs").([]any)
		for _, d := range discovered {
			for _, name := range dig(d, "names").([]any) {
				asked++
				if services[text(name)] == nil {
					t.Errorf("%v asks %v, which is no service", dig(job, "job_name"), name)
				}
			}
		}
	}
	if asked < 5 {
		t.Errorf("only %d services are asked", asked)
	}
}
