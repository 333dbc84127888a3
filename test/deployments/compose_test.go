package deployments

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func composeFile(t *testing.T) map[string]any {
	t.Helper()
	return documents(t, read(t, at("compose", "compose.yaml")))[0]
}

func composeServices(t *testing.T) map[string]any {
	t.Helper()
	return composeFile(t)["services"].(map[string]any)
}

// substitution is ${NAME}, ${NAME:-default} or ${NAME:?error}; $$ stands for a dollar sign.
var substitution = regexp.MustCompile(`\$\$|\$\{([A-Z0-9_]+)(?:(:-|:\?)([^}]*))?\}`)

// substituted puts values for variables: their default, else one of a test.
func substituted(s string) string {
	return substitution.ReplaceAllStringFunc(s, func(v string) string {
		m := substitution.FindStringSubmatch(v)
		switch {
		case v == "$$":
			return "$"
		case m[2] == ":-":
			return m[3]
		}
		return "value-of-a-test"
	})
}

func TestComposeFileFollowsTheSpecification(t *testing.T) {
	t.Parallel()
	var schema any
	if err := json.Unmarshal(read(t, filepath.Join(module(t, "github.com/compose-spec/compose-go/v2@v2.16.2"), "schema", "compose-spec.json")), &schema); err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("compose.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("compose.json")
	if err != nil {
		t.Fatal(err)
	}
	file := composeFile(t)
	if err := compiled.Validate(file); err != nil {
		t.Error(err)
	}
	file["services"].(map[string]any)["minio"].(map[string]any)["imagge"] = "x"
	if compiled.Validate(file) == nil {
		t.Error("the schema takes anything")
	}
}

// Services that end by themselves, and one whose image has no program that could ask for its health.
var (
	ending  = []string{"setup", "temporal-schema"}
	unasked = []string{"temporal-ui"}
)

func TestEveryServiceIsWatchedAndPinned(t *testing.T) {
	t.Parallel()
	file := composeFile(t)
	services := file["services"].(map[string]any)
	for name, s := range services {
		if _, tag, found := strings.Cut(text(dig(s, "image")), ":"); !found || tag == "latest" || tag == "" {
			t.Errorf("%s: image %q has no version", name, dig(s, "image"))
		}
		if dig(s, "healthcheck", "test") == nil && !slices.Contains(ending, name) && !slices.Contains(unasked, name) {
			t.Errorf("%s has no health check", name)
		}
		if text(dig(s, "restart")) == "" {
			t.Errorf("%s is not started again", name)
		}
		needs, _ := dig(s, "depends_on").(map[string]any)
		for other, how := range needs {
			want := "service_healthy"
			if slices.Contains(ending, other) {
				want = "service_completed_successfully"
			}
			if services[other] == nil || text(dig(how, "condition")) != want {
				t.Errorf("%s waits for %s by %v", name, other, how)
			}
		}
		checkMounts(t, name, s, file)
		checkSecrets(t, name, s, file)
	}
}

// checkMounts checks that all that a service mounts is there.
func checkMounts(t *testing.T, name string, service any, file map[string]any) {
	t.Helper()
	mounts, _ := dig(service, "volumes").([]any)
	for _, m := range mounts {
		from, _, _ := strings.Cut(text(m), ":")
		if strings.HasPrefix(from, ".") {
			if _, err := os.Stat(at("compose", from)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if _, there := file["volumes"].(map[string]any)[from]; !there {
			t.Errorf("%s: there is no volume %s", name, from)
		}
	}
}

// isSecret tells it of a variable by its name.
var isSecret = regexp.MustCompile(`PASSWORD|SECRET|_KEY$|TOKEN`)

// checkSecrets checks that secrets are made, given to who names them, and never written into the file.
func checkSecrets(t *testing.T, name string, service any, file map[string]any) {
	t.Helper()
	secrets, _ := dig(service, "secrets").([]any)
	for _, s := range secrets {
		if text(dig(file, "secrets", text(s), "file")) == "" {
			t.Errorf("%s: the secret %v is no file: Compose gives containers with a read-only root no others, and does not start them", name, s)
		}
	}
	environment, _ := dig(service, "environment").(map[string]any)
	for key, value := range environment {
		v := fmt.Sprint(value)
		path, mounted := strings.CutPrefix(v, "/run/secrets/")
		if mounted && !slices.Contains(secrets, any(path)) {
			t.Errorf("%s: %s names a secret it is not given", name, key)
		}
		if isSecret.MatchString(key) && !mounted && (!strings.HasPrefix(v, "${") || strings.Contains(v, ":-")) {
			t.Errorf("%s: %s is written into the file", name, key)
		}
	}
}

func TestOnlyTheDoorsArePublished(t *testing.T) {
	t.Parallel()
	var published []string
	for name, s := range composeServices(t) {
		ports, _ := dig(s, "ports").([]any)
		for _, p := range ports {
			if !strings.HasPrefix(text(p), "127.0.0.1:") {
				t.Errorf("%s is open to the network: %v", name, p)
			}
			published = append(published, name)
		}
	}
	slices.Sort(published)
	if got := strings.Join(published, " "); got != "balancer grafana temporal-ui" {
		t.Errorf("published: %s", got)
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	if out := must(t, tool(t, "hadolint"), at("docker", "Dockerfile")); strings.TrimSpace(out) != "" {
		t.Error(out)
	}
	file := string(read(t, at("docker", "Dockerfile")))
	version, _, _ := strings.Cut(strings.SplitN(string(read(t, filepath.Join(root, "go.mod"))), "\ngo ", 2)[1], "\n")
	if !strings.Contains(file, "golang:"+version+"-") {
		t.Errorf("the image is not built with go %s", version)
	}
	if m := regexp.MustCompile(`(?m)^ARG (TARGET|BUILD)\w*=`).FindString(file); m != "" {
		t.Errorf("%s...: the default takes the place of the platform that is built for", m)
	}
	for _, stage := range strings.Split(file, "\nFROM ")[2:] {
		if !strings.Contains(stage, "\nUSER 65532:65532") {
			t.Errorf("runs as root: %s", stage)
		}
	}
}

// TestTheBalancerIsBelieved: lockouts, limits of logins and the audit log go by the client's address, which only the balancer knows. Who
// runs programs of others must not be believed.
func TestTheBalancerIsBelieved(t *testing.T) {
	t.Parallel()
	file := composeFile(t)
	edge, _ := dig(file, "networks", "edge", "ipam", "config").([]any)
	if len(edge) != 1 {
		t.Fatalf("the network edge has no addresses of its own: %v", edge)
	}
	subnet := substituted(text(dig(edge[0], "subnet")))
	services := file["services"].(map[string]any)
	for name, s := range services {
		switch on, _ := dig(s, "networks").([]any); {
		case strings.HasPrefix(name, "api-"):
			if got := substituted(text(dig(s, "environment", "WAYBILL_TRUSTED_PROXIES"))); subnet == "" || got != subnet {
				t.Errorf("%s believes %q, and the balancer is in %q", name, got, subnet)
			}
		case strings.HasPrefix(name, "worker-") && slices.Contains(on, any("edge")):
			t.Errorf("%s is among those that are believed", name)
		}
	}
}
