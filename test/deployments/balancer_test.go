package deployments

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// networksOf are those that a service is in.
func networksOf(service any) (names []string) {
	on, _ := dig(service, "networks").([]any)
	for _, n := range on {
		names = append(names, text(n))
	}
	return names
}

// shared are the networks of both.
func shared(one, other any) (names []string) {
	for _, n := range networksOf(one) {
		if slices.Contains(networksOf(other), n) {
			names = append(names, n)
		}
	}
	return names
}

// TestJobsReachTheAPI: they run in the worker's container, where nothing listens at the address that clients have of the API.
func TestJobsReachTheAPI(t *testing.T) {
	services, workers := composeServices(t), 0
	for name, c := range composeCommands(t) {
		if c.args[0] != "worker" {
			continue
		}
		workers++
		u, err := url.Parse(c.check(t).JobsURL)
		if err != nil || u.Port() != "8080" || services[u.Hostname()] == nil {
			t.Errorf("%s: programs are sent to %v, %v", name, u, err)
			continue
		}
		if got := shared(services[name], services[u.Hostname()]); len(got) == 0 {
			t.Errorf("%s is in no network of %s", name, u.Hostname())
		}
	}
	if workers != 2 {
		t.Errorf("%d workers", workers)
	}
	// By two networks it would have two addresses, and the API processes believe those of edge only.
	for _, name := range []string{"api-1", "api-2"} {
		if got := shared(services[name], services["balancer"]); !slices.Equal(got, []string{"edge"}) {
			t.Errorf("%s is in the networks %v of the balancer, want edge alone", name, got)
		}
	}
}

// TestTheBalancerFollowsItsServers: a container that is made anew has another address, and nginx looks names up once unless it is told
// otherwise, which it understands from 1.27.3 on.
func TestTheBalancerFollowsItsServers(t *testing.T) {
	t.Parallel()
	settings := string(read(t, at("compose", "nginx.conf")))
	servers := regexp.MustCompile(`(?m)^\s*server (\S+:\d+)( .*)?;`).FindAllStringSubmatch(settings, -1)
	if len(servers) != 2 {
		t.Errorf("%d servers", len(servers))
	}
	for _, s := range servers {
		if !slices.Contains(strings.Fields(s[2]), "resolve") {
			t.Errorf("the address of %s is looked up once", s[1])
		}
	}
	for _, need := range []string{`(?m)^\s*resolver 127\.0\.0\.11 .*valid=\d+s\b`, `(?m)^\s*zone \w+ \w+;`} {
		if !regexp.MustCompile(need).MatchString(settings) {
			t.Errorf("nothing is like %s", need)
		}
	}
	image := text(dig(composeServices(t)["balancer"], "image"))
	m := regexp.MustCompile(`nginx-unprivileged:(\d+)\.(\d+)`).FindStringSubmatch(image)
	if m == nil {
		t.Fatalf("the version of %q is not known", image)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major != 1 || minor < 28 {
		t.Errorf("%s may not know resolve", image)
	}
}
