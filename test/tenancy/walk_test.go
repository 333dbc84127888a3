package tenancy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"waybill/api"
)

// The callers of the walk: the admin of another account, and a user of the same account who was given nothing.
const (
	stranger = "olga"
	general  = "gina"
)

// statuses are what a call may be answered with: to the stranger and to the general user.
type statuses [2][]int

// visit is one call of a route.
type visit struct {
	call call
	want statuses
	// says, where the status does not tell enough, looks at the words of the answer. May be nil.
	says func(a answer) bool
}

// door is how the routes of one are visited.
type door struct {
	bases    []string // without what other doors have below theirs
	register func(*api.Server) error
	// visits are the calls of a route, or what is missing to make them.
	visits func(w *world, c caller, method, pattern string) (all []visit, missing string)
	// unbuilt tells an answer of a route that is not there yet.
	unbuilt func(answer) bool
	// fault tells whether an answer that refuses has the door's own form.
	fault func(answer) bool
	last  map[string]bool
}

// doors are all there are: a test holds that none is missing.
var doors = map[string]door{"native": nativeWalk(), "informatica": informaticaWalk(), "diem": diemWalk()}

// open are routes of the server itself, which tell nothing of anybody.
var open = []string{"/.well-known/jwks.json", "/healthz", "/readyz", "/metrics", "/openapi", "/docs", "/"}

func TestNoDoorIsLeftOut(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../../api")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, walked := doors[e.Name()]; e.IsDir() && e.Name() != "testdata" && !walked {
			t.Errorf("the door %s is not walked: add it to doors", e.Name())
		}
	}
}

// TestNobodyGetsAtWhatIsNotTheirs walks every route of every door with what belongs to somebody else. To another account it is not there
// (404, or the door's own form of it), to a user of the same account who was given nothing it is refused (403), neither is told a word
// of it, and none of it changes (native.md, 1.5).
func TestNobodyGetsAtWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Account(t, "other", stranger, password)
	w.User(t, general, password)
	before := w.state()
	if len(before["jobs"]) == 0 || len(before["job_configs"]) == 0 || len(before["access_policies"]) == 0 {
		t.Fatal("there is nothing to get at")
	}
	routes := w.server.Routes()
	slices.SortFunc(routes, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	for i, name := range []string{stranger, general} {
		c := w.caller(name)
		w.named = map[string]bool{}
		calls, unbuilt, walked := 0, 0, map[string]int{}
		for _, route := range routes {
			method, path, _ := strings.Cut(route, " ")
			at, base := doorOf(path)
			if at == "" {
				if !slices.ContainsFunc(open, func(o string) bool { return path == o || o != "/" && strings.HasPrefix(path, o) }) {
					t.Errorf("%s is of no door", route)
				}
				continue
			}
			pattern := strings.TrimPrefix(path, base)
			visits, missing := doors[at].visits(w, c, method, pattern)
			if missing != "" {
				t.Errorf("%s, %s: the walk does not know the route: %s", at, route, missing)
				continue
			}
			walked[at]++
			for _, v := range visits {
				v.call.path = base + v.call.path
				a := w.send(v.call)
				calls++
				if doors[at].unbuilt(a) {
					unbuilt++
				} else {
					w.judge(name+", "+at+", "+route, doors[at], v, i, a)
				}
			}
			if doors[at].last[method+" "+pattern] {
				c = w.caller(name)
			}
		}
		now := w.state()
		for table, was := range before {
			if now := now[table]; now != was {
				t.Errorf("%s changed %s:\n%s\n%s", name, table, was, now)
			}
		}
		total := 0
		for _, n := range walked {
			total += n
		}
		t.Logf("%s: %d calls of %d routes of %d doors %v; %d calls of routes that are not built yet", name, calls, total, len(walked), walked, unbuilt)
		if len(walked) != len(doors) || walked["native"] < 150 {
			t.Errorf("%s: too few routes: %v", name, walked)
		}
	}
}

// rank puts what ends things last, so that it does not hide what comes behind it.
func rank(route string) string {
	if strings.HasPrefix(route, "DELETE") || strings.HasSuffix(route, "/logout") {
		return "1" + route
	}
	return "0" + route
}

// doorOf finds the door that a path belongs to: the one with the longest base.
func doorOf(path string) (name, base string) {
	for n, d := range doors {
		for _, b := range d.bases {
			if strings.HasPrefix(path, b+"/") && len(b) > len(base) {
				name, base = n, b
			}
		}
	}
	return name, base
}

// judge looks at one answer.
func (w *world) judge(what string, d door, v visit, who int, a answer) {
	w.t.Helper()
	for _, mark := range w.marks {
		if strings.Contains(v.call.path, mark) || strings.Contains(string(v.call.body), mark) {
			w.named[mark] = true
			continue
		}
		// An account's audit log holds what its users asked for, by whatever name.
		if strings.Contains(a.text, mark) && !(w.named[mark] && strings.Contains(v.call.path, "/audit")) {
			w.t.Errorf("%s shows %s: %s", what, mark, a.text)
		}
	}
	switch {
	case !slices.Contains(v.want[who], a.status):
		w.t.Errorf("%s answers %d, want %v: %s", what, a.status, v.want[who], a.text)
	case v.says != nil && !v.says(a):
		w.t.Errorf("%s answers %d: %s", what, a.status, a.text)
	case a.status >= 403 && a.status <= 404 && !d.fault(a):
		w.t.Errorf("%s has not the door's form: %s", what, a.text)
	}
}
