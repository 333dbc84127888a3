package fuzzdoors

import (
	"bytes"
	gocontext "context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"waybill/api/diem"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Bounds of a run.
const (
	usualTime  = 4 * time.Second        // WAYBILL_FUZZ_TIME is for more
	heldFor    = 200 * time.Millisecond // after which a call that is held, or a stream, is broken off
	slow       = 20 * time.Second       // after which any other call is taken to be held up
	hangs      = 30 * time.Second       // after which a call that was broken off is taken to hang
	fewest     = 100                    // calls are made, however slow the machine is
	worldCalls = 1500                   // after which the database is a new one: it must not fill
)

// TestDoorsTakeAnything calls every operation of every document in every way, over and over: with the same seeds from one run to the next,
// so that a change is tested and not luck, or with WAYBILL_FUZZ_SEED=random with others. A failure tells the seed of its round, and
// WAYBILL_FUZZ_SEED=... repeats that one alone.
func TestDoorsTakeAnything(t *testing.T) {
	lasts, seed, once := usualTime, uint64(1), false
	if s := os.Getenv("WAYBILL_FUZZ_TIME"); s != "" {
		var err error
		if lasts, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	switch s := os.Getenv("WAYBILL_FUZZ_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		once = true
	}
	end := time.Now().Add(lasts)
	calls, statuses := 0, map[string]int{}
	for round := uint64(0); ; round++ {
		f := newFuzzer(t, seed+round)
		t.Run(fmt.Sprint("seed-", seed+round), func(t *testing.T) {
			f.round(t, func() bool { return once || calls+f.calls < fewest || time.Now().Before(end) })
		})
		calls += f.calls
		for s, n := range f.statuses {
			statuses[s] += n
		}
		if t.Failed() || once || calls >= fewest && !time.Now().Before(end) {
			break
		}
	}
	t.Logf("%d calls from seed %d on: %v", calls, seed, statuses)
}

// fuzzer is one round, in a world of its own.
type fuzzer struct {
	*generator
	seed     uint64
	docs     []document
	calls    int
	statuses map[string]int // by door and status
	was      map[string]uint64
	version  int64
}

func newFuzzer(t *testing.T, seed uint64) *fuzzer {
	w := newWorld(t)
	f := &fuzzer{
		generator: &generator{Rand: rand.New(rand.NewPCG(seed, 0)), w: w, bad: badTokens(w.Now)}, seed: seed, docs: w.documents(), statuses: map[string]int{},
	}
	f.version, f.was = w.version(), w.digest()
	return f
}

func (f *fuzzer) round(t *testing.T, more func() bool) {
	for f.calls < worldCalls && more() && !t.Failed() {
		d := &f.docs[f.IntN(len(f.docs))]
		f.doc = d
		if !(f.w.signedIn("admin") && f.w.signedIn("gina") && f.w.signedIn("olga")) {
			return // a call has changed a password, or whom it belongs to
		}
		f.step(t, d.ops[f.IntN(len(d.ops))])
	}
}

// step makes one call and looks at what came of it.
func (f *fuzzer) step(t *testing.T, o operation) {
	r, secret, in := f.request(t, o)
	if r == nil {
		return
	}
	f.calls++
	a, ended := f.send(t, r)
	if ended != byItself && ended != brokenOff {
		t.Errorf("%s\n  call %d of seed %d: %s %s\n  %s\n  body %.300q\n  log %.2000s",
			ended, f.calls, f.seed, r.Method, r.URL, headersOf(r), secret, f.w.log.take())
		return
	}
	f.statuses[fmt.Sprint(o.door, " ", a.Code)]++
	logged := f.w.log.take()
	complain := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s\n  call %d of seed %d: %s %s\n  %s\n  body %.300q\n  answer %d %v %.500q\n  log %.2000s",
			fmt.Sprintf(format, args...), f.calls, f.seed, r.Method, r.URL, headersOf(r), secret, a.Code, a.Header(), a.Body, logged)
	}
	changed := f.changed()
	if ended == brokenOff {
		return // what was read until then is not the whole
	}
	k := kits[o.door]
	idle := a.Code == 503 && o.path == "/etl-mgr/api/services" // no worker is there to run it
	if a.Code >= 500 && !idle && !o.nothingToRun(a, logged) || strings.Contains(logged, "panic") {
		complain("a defect")
	}
	if err := o.fits(a); err != nil {
		complain("not as documented: %v", err)
	}
	if a.Code >= 400 {
		if err := k.shape(a, r); err != nil {
			complain("not an error of this door: %v", err)
		}
	}
	if !in && !o.open && !k.refused(a) {
		complain("somebody without good credentials got in")
	}
	if (k.refused(a) || o.method == http.MethodGet) && len(changed) > 0 {
		complain("a call that was refused, or only reads, changed %v", changed)
	}
	for name := range a.Header() {
		if name == "X-Injected" {
			complain("a header was smuggled into the answer")
		}
	}
	for _, s := range secrets {
		if strings.Contains(a.Body.String(), s) && !strings.Contains(string(secret), s) && !strings.Contains(r.URL.String(), url.QueryEscape(s)) && a.Code >= 400 {
			complain("the answer shows %q", s)
		}
	}
}

// nothingToRun tells whether an answer is the 500 with which one of the doors says, as the document has it, that there is no package.
func (o operation) nothingToRun(a *httptest.ResponseRecorder, logged string) bool {
	_, documented := o.answers[strconv.Itoa(a.Code)]
	return documented && (strings.Contains(logged, " word=package_missing ") || strings.Contains(logged, " word=invalid_package "))
}

func headersOf(r *http.Request) string {
	h := r.Header.Clone()
	for _, name := range []string{"Authorization"} {
		if v := h.Get(name); len(v) > 60 {
			h.Set(name, v[:60]+"...")
		}
	}
	return fmt.Sprintf("%.600q", fmt.Sprint(h))
}

// changed names the tables that are not what they were.
func (f *fuzzer) changed() (tables []string) {
	version := f.w.version()
	if version == f.version {
		return nil
	}
	now := f.w.digest()
	for name, sum := range now {
		if f.was[name] != sum {
			tables = append(tables, name)
		}
	}
	f.version, f.was = version, now
	slices.Sort(tables)
	return tables
}

// request makes a call of the operation; in tells that its credentials are good. nil: what came out can not be sent at all.
func (f *fuzzer) request(t *testing.T, o operation) (r *http.Request, body []byte, in bool) {
	f.calm = f.chance(40)
	label := ""
	media := sorted(o.bodies)
	switch {
	case len(media) > 0:
		label = one(f.generator, media...)
		switch {
		case strings.HasSuffix(label, "xml"):
			body = f.xmlBody(o, "job")
		case strings.HasSuffix(label, "json"):
			body = f.jsonBody(o, o.bodies[label])
		default:
			body = []byte(f.word())
		}
	case f.chance(10):
		label, body = "application/json", f.jsonBody(o, map[string]any{"type": "object"})
	}
	target := f.target(o)
	if _, err := url.ParseRequestURI(target); err != nil {
		return nil, nil, false
	}
	method := o.method
	if o.door == diem.Name && f.chance(30) { // it takes all methods alike
		method = one(f.generator, http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete)
	}
	r = httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+target, bytes.NewReader(body))
	r.RemoteAddr = fmt.Sprintf("192.0.2.%d:40000", 1+f.IntN(250))
	if label != "" {
		r.Header.Set("Content-Type", label)
	}
	k := kits[o.door]
	switch n := f.IntN(100); {
	case n < 60:
		k.sign(f.w, r, "admin")
		in = true
	case n < 70:
		k.sign(f.w, r, "gina")
		in = true
	case n < 80:
		k.sign(f.w, r, "olga")
		in = true
	case n < 90:
		k.bad(r, f.generator.bad[one(f.generator, sorted(f.generator.bad)...)])
	case n < 94:
		r.Header.Set("Authorization", f.basicOf())
		in = o.basic && strings.HasSuffix(r.Header.Get("Authorization"), "?")
	}
	f.headers(r)
	return r, body, in
}

// ending says how a call came to its end.
type ending string

const (
	byItself  ending = "it answered"
	brokenOff ending = "it is one that is held, and was broken off"
	late      ending = "the call ends only because its time is over"
	never     ending = "the call hangs"
)

// send makes the call. Of one that hangs there is no answer.
func (f *fuzzer) send(t *testing.T, r *http.Request) (*httptest.ResponseRecorder, ending) {
	q := r.URL.RawQuery
	held := strings.Contains(r.URL.Path, "events") || strings.Contains(q, "wait") || strings.Contains(q, "follow")
	limit := slow
	if held {
		limit = heldFor
	}
	ctx, cancel := gocontext.WithTimeout(t.Context(), limit)
	defer cancel()
	a := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				a.Code = 599
				_, _ = fmt.Fprint(a.Body, p)
			}
		}()
		f.w.server.ServeHTTP(a, r.WithContext(ctx))
	}()
	select {
	case <-done:
	case <-time.After(hangs):
		return nil, never
	}
	switch {
	case ctx.Err() == nil:
		return a, byItself
	case held:
		return a, brokenOff
	}
	return a, late
}
