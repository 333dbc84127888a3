package deployments

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// made finds a thing of the kind that the chart made, by its name.
func made(t *testing.T, out, kind, name string) map[string]any {
	t.Helper()
	for _, d := range documents(t, []byte(out)) {
		if text(d["kind"]) == kind && text(dig(d, "metadata", "name")) == name {
			return d
		}
	}
	t.Fatalf("the chart made no %s %s", kind, name)
	return nil
}

// podLabels are those of the pods of all components, by what makes them.
func podLabels(t *testing.T, out string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for _, d := range documents(t, []byte(out)) {
		labels, is := dig(d, "spec", "template", "metadata", "labels").(map[string]any)
		if d["kind"] == "Pod" {
			labels, is = dig(d, "metadata", "labels").(map[string]any)
		}
		if is {
			found[text(dig(d, "metadata", "name"))] = labels
		}
	}
	return found
}

// lets tells whether a rule's peers name pods of these labels in the release's own namespace.
func lets(peers any, labels map[string]any) bool {
	list, some := peers.([]any)
	if !some {
		return true // no peers: everybody
	}
	return slices.ContainsFunc(list, func(peer any) bool {
		wanted, is := dig(peer, "podSelector", "matchLabels").(map[string]any)
		return is && len(wanted) > 0 && dig(peer, "namespaceSelector") == nil && has(labels, wanted)
	})
}

func has(labels, wanted map[string]any) bool {
	for key, value := range wanted {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// TestWhoMayReachTheAPI: those who are named, and besides them Prometheus, the programs of jobs and helm test.
func TestWhoMayReachTheAPI(t *testing.T) {
	t.Parallel()
	out := rendered(t, "full")
	rules := dig(made(t, out, "NetworkPolicy", "wb-api"), "spec", "ingress").([]any)
	if len(rules) != 1 {
		t.Fatalf("%d rules", len(rules))
	}
	peers := dig(rules[0], "from")
	for pod, may := range map[string]bool{"wb-worker-default": true, "wb-worker-reports": true, "wb-ready": true, "wb-api": false} {
		labels := podLabels(t, out)[pod]
		if labels == nil {
			t.Fatalf("no pod %s", pod)
		}
		if lets(peers, labels) != may {
			t.Errorf("%s may reach the API: %t", pod, !may)
		}
	}
	text, _ := json.Marshal(peers)
	for _, namespace := range []string{"ingress-nginx", "monitoring"} {
		if !strings.Contains(string(text), fmt.Sprintf(`{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":%q}}}`, namespace)) {
			t.Errorf("%s may not reach the API: %s", namespace, text)
		}
	}
	if strings.Contains(string(text), `"namespaceSelector":{}`) {
		t.Error("every namespace may reach the API")
	}
	open := made(t, rendered(t, "minimal"), "NetworkPolicy", "release-waybill-api")
	if from := dig(dig(open, "spec", "ingress").([]any)[0], "from"); from != nil {
		t.Errorf("only %v may reach the API of who named nobody", from)
	}
}

// TestWhereWorkersMayGo if jobs may not reach everything: to all that the worker itself needs.
func TestWhereWorkersMayGo(t *testing.T) {
	t.Parallel()
	out := rendered(t, "full")
	api := podLabels(t, out)["wb-api"]
	everywhere, toAPI := map[any]bool{}, map[any]bool{}
	for _, rule := range dig(made(t, out, "NetworkPolicy", "wb-workers"), "spec", "egress").([]any) {
		for _, one := range dig(rule, "ports").([]any) {
			if dig(rule, "to") == nil {
				everywhere[dig(one, "port")] = true
			} else if lets(dig(rule, "to"), api) {
				toAPI[dig(one, "port")] = true
			}
		}
	}
	for _, port := range []float64{53, 5432, 7233, 443, 8443, 587, 4318} {
		if !everywhere[port] {
			t.Errorf("workers may not go to port %v", port)
		}
	}
	listens := dig(made(t, out, "Deployment", "wb-api"), "spec", "template", "spec", "containers").([]any)[0]
	if port := dig(dig(listens, "ports").([]any)[0], "containerPort"); len(toAPI) != 1 || !toAPI[port] {
		t.Errorf("workers may go to ports %v of the API, which listens on %v", toAPI, port)
	}
	for set, port := range map[string]float64{
		"settings.smtp-port=465": 465, "settings.otlp-endpoint=https://traces.example.com/v1": 443, "settings.otlp-endpoint=http://collector:4317": 4317,
		"settings.otlp-endpoint=http://10.0.0.5": 80, "settings.otlp-endpoint=https://otel-2/v1": 443, "settings.otlp-endpoint=http://[::1]:4318": 4318,
		"settings.otlp-protocol=grpc,settings.otlp-endpoint=http://collector": 443,
	} {
		out, err := render(t, "--values", at("helm", "waybill", "ci", "full.yaml"), "--set", set+",networkPolicy.componentPorts=null")
		if err != nil {
			t.Fatal(out)
		}
		rules, _ := json.Marshal(dig(made(t, out, "NetworkPolicy", "wb-workers"), "spec", "egress"))
		if !strings.Contains(string(rules), fmt.Sprintf(`"port":%v,`, port)) {
			t.Errorf("%s: workers may not go to port %v: %s", set, port, rules)
		}
	}
}

// TestProgramsCallTheService and not what clients outside call, which a cluster may not let them reach.
func TestProgramsCallTheService(t *testing.T) {
	out := rendered(t, "full")
	service := made(t, out, "Service", "wb")
	want := fmt.Sprintf("http://wb.default.svc:%v", dig(dig(service, "spec", "ports").([]any)[0], "port"))
	workers := 0
	for _, c := range chartCommands(t, "full", out) {
		if c.args[0] != "worker" {
			continue
		}
		workers++
		if s := c.check(t); s.JobsURL != want || s.BaseURL != "https://waybill.example.com" {
			t.Errorf("%s: programs call %q, clients %q; want %q", c.where, s.JobsURL, s.BaseURL, want)
		}
	}
	if workers != 2 {
		t.Errorf("%d workers", workers)
	}
}

// TestWorkersGoSlowly: what scales workers by their queue counts the jobs that run, where it can, and waits before it takes workers away.
func TestWorkersGoSlowly(t *testing.T) {
	t.Parallel()
	spec := made(t, rendered(t, "full"), "ScaledObject", "wb-worker-default")["spec"]
	if window := dig(spec, "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleDown", "stabilizationWindowSeconds"); window != 300.0 {
		t.Errorf("a worker goes after %v s", window)
	}
	triggers := map[string]any{}
	for _, one := range dig(spec, "triggers").([]any) {
		triggers[text(dig(one, "type"))] = dig(one, "metadata")
	}
	if kinds := slices.Sorted(maps.Keys(triggers)); !slices.Equal(kinds, []string{"prometheus", "temporal"}) {
		t.Fatalf("scaled by %v", kinds)
	}
	running := triggers["prometheus"]
	for _, part := range []string{`sum(waybill_worker_running{task_queue="waybill"})`, `waybill_task_queue_backlog{task_queue="waybill",type="activity"}`} {
		if !strings.Contains(text(dig(running, "query")), part) {
			t.Errorf("the query %v does not ask for %s", dig(running, "query"), part)
		}
	}
	if dig(running, "threshold") != "8" || dig(running, "ignoreNullValues") != "false" {
		t.Errorf("the trigger is %v", running)
	}
	if dig(running, "authModes") != "bearer" { // without it KEDA shows no credentials
		t.Errorf("the trigger shows %v", dig(running, "authModes"))
	}
	if out, err := render(t, "--values", at("helm", "waybill", "ci", "full.yaml"), "--set", "workers[0].autoscaling.prometheus.authModes=null"); err == nil {
		t.Errorf("credentials that are never shown are taken:\n%s", out)
	}
	silent := strings.Replace(string(read(t, at("helm", "waybill", "ci", "full.yaml"))), "by: keda, minReplicas: 1,", "by: keda,", 1)
	out, err := render(t, "--values", write(t, filepath.Join(t.TempDir(), "full.yaml"), silent))
	if err != nil {
		t.Fatal(out)
	}
	// KEDA's own default is 0, at which it would end the last worker with its jobs.
	if least := dig(made(t, out, "ScaledObject", "wb-worker-default"), "spec", "minReplicaCount"); least != 1.0 {
		t.Errorf("at least %v workers stay", least)
	}
	file := write(t, filepath.Join(t.TempDir(), "rules.yml"), fmt.Sprintf("groups: [{name: keda, rules: [{record: places, expr: %q}]}]", text(dig(running, "query"))))
	must(t, tool(t, "promtool"), "check", "rules", "--lint=none", file)
}
