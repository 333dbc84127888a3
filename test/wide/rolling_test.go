package wide

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// balancer is one address in front of all API processes. It gives a call to those that say they are ready, one after the other,
// asks them five times a second, makes no call twice, and has an answer of its own where none is ready, as an ingress does: 503 without
// Retry-After, which no client may see.
type balancer struct {
	url   string
	mu    sync.Mutex
	nodes []*backend
	next  int
}

type backend struct {
	url   *url.URL
	ready bool
}

func newBalancer(t *testing.T, apis []*node) *balancer {
	t.Helper()
	b := &balancer{}
	for _, n := range apis {
		u, err := url.Parse(n.url)
		if err != nil {
			t.Fatal(err)
		}
		b.nodes = append(b.nodes, &backend{url: u, ready: true})
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.MaxIdleConnsPerHost = nil, 64
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(r.In.Context().Value(chosen{}).(*url.URL)) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the client sees no answer
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := b.choose()
		if to == nil {
			http.Error(w, "no process is ready", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), chosen{}, to)))
	}))
	b.url = server.URL
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var probes sync.WaitGroup
	for _, n := range b.nodes {
		probes.Go(func() { b.probe(ctx, n) })
	}
	t.Cleanup(func() {
		cancel()
		probes.Wait()
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return b
}

// chosen is where the process is in the context of a call.
type chosen struct{}

// choose gives the next process that is ready; nil: none is.
func (b *balancer) choose() *url.URL {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.nodes {
		b.next++
		if n := b.nodes[b.next%len(b.nodes)]; n.ready {
			return n.url
		}
	}
	return nil
}

func (b *balancer) probe(ctx context.Context, n *backend) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := answers(n.url.String()+"/readyz")(limited, nil)
		cancel()
		b.mu.Lock()
		n.ready = err == nil
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// serves waits until the balancer gives calls to a process, or does not any more.
func (b *balancer) serves(t *testing.T, at string, want bool) {
	t.Helper()
	err := within(t.Context(), startWithin, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, n := range b.nodes {
			if n.url.String() == at && n.ready != want {
				return fmt.Errorf("%s is ready: %v", at, n.ready)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// behind puts the balancer in front of an installation: its clients know no other address.
func (in *installation) behind(t *testing.T) (b *balancer, real map[*node]string) {
	t.Helper()
	b, real = newBalancer(t, in.apis), map[*node]string{}
	for _, n := range in.apis {
		real[n], n.url = n.url, b.url
	}
	return b, real
}

// listener follows the account's events and comes back after each end of the stream, as a browser does.
type listener struct {
	mu    sync.Mutex
	ends  map[string]int // by job, how often its end was told
	name  string         // of the member that tells the job
	times int            // connections
	bad   []string
}

func (l *listener) follow(ctx context.Context, c *rest) {
	last := ""
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base()+"/api/events", nil)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := plain.Do(req)
		if err == nil {
			l.mu.Lock()
			l.times++
			l.mu.Unlock()
			if resp.StatusCode == http.StatusOK {
				last, err = l.read(resp.Body, last, 0)
			} else {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
			resp.Body.Close()
		}
		if err != nil && ctx.Err() == nil {
			l.mu.Lock()
			l.bad = append(l.bad, err.Error())
			l.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// read takes so many events, or with 0 all until the stream ends; an end that is none of the server's is an error. It gives the
// id of the last one.
func (l *listener) read(body io.Reader, last string, most int) (string, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	id := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			id = value
		case "data":
			a := answer{body: []byte(value)}
			if job := a.text(l.name); job != "" && ended(a.text("status")) {
				l.mu.Lock()
				l.ends[job]++
				l.mu.Unlock()
			}
		case "": // the event is complete
			if id == "" || id == last {
				continue
			}
			last = id
			if most--; most == 0 {
				return last, nil
			}
		}
	}
	return last, lines.Err()
}

// slowly is a body that takes its time: it is on its way while its server is told to stop.
type slowly struct {
	left int
	part time.Duration
	on   chan<- struct{} // closed with the first byte
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.on != nil {
		close(s.on)
		s.on = nil
	}
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.part)
	s.left--
	return copy(p, strings.Repeat("#", 1023)+"\n"), nil
}

// uploadTo sends a package slowly to one process and tells what came of it.
func (l *load) uploadTo(t *testing.T, config, at string) (done <-chan error) {
	t.Helper()
	result, on := make(chan error, 1), make(chan struct{})
	go func() {
		path := at + "/api/jobconfigs/" + config + "/files?key=main.sh"
		req, err := http.NewRequest(http.MethodPost, path, &slowly{left: 60, part: 100 * time.Millisecond, on: on})
		if err != nil {
			result <- err
			return
		}
		req.Header.Set("Authorization", "Bearer "+l.client.token)
		req.Header.Set("Content-Type", "application/octet-stream")
		resp, err := plain.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
		}
		result <- err
	}()
	<-on
	return result
}

// TestRollingRestart restarts every process in turn, as an operator rolls a version out: no client sees an error, no upload is cut
// off, no event is missed or told twice, no job is lost or ends twice. Where WAYBILL_BEFORE names a program of the version before, the
// processes begin with that, on the tables of the program under test, for which they are exchanged.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 2, workers: 2, program: os.Getenv("WAYBILL_BEFORE")})
	b, real := in.behind(t)
	heard := &listener{ends: map[string]int{}, name: "id"}
	ctx, hangUp := context.WithCancel(context.WithoutCancel(t.Context()))
	var ears sync.WaitGroup
	ear := in.admin(t, in.apis[0])
	ears.Go(func() { heard.follow(ctx, ear) })
	t.Cleanup(func() { hangUp(); ears.Wait() })
	heard.connected(t) // before the first job: a stream begins with what happens from then on
	l := in.drive(t)
	slow := l.client.configure(t, "slow", program, nil)

	for _, n := range append(append([]*node{}, in.apis...), in.workers...) {
		began := time.Now()
		at, uploaded := real[n], (<-chan error)(nil)
		if at != "" {
			uploaded = l.uploadTo(t, slow, at)
		}
		if err := n.process.stop(); err != nil {
			t.Error(err)
		}
		stopped := time.Since(began)
		if at != "" {
			if err := <-uploaded; err != nil {
				t.Errorf("an upload to %s was cut off: %v", n.name, err)
			}
			if c, err := net.DialTimeout("tcp", strings.TrimPrefix(at, "http://"), time.Second); err == nil {
				c.Close()
				t.Errorf("%s has stopped, and somebody listens on its port", n.name)
			}
		}
		n.program = binary
		if err := n.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at != "" {
			b.serves(t, at, true)
		}
		t.Logf("%s stopped in %s, is back after %s", n.name, stopped.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	}
	l.recovered(t, time.Now())
	l.calm(t)
	l.mu.Lock()
	if n := l.counts["503"]; n > 0 {
		t.Errorf("%d calls were answered with 503", n)
	}
	l.mu.Unlock()
	heard.check(t, l)
	hangUp()
	in.stop(t)
}

// connected waits for the first stream.
func (l *listener) connected(t *testing.T) {
	t.Helper()
	err := within(t.Context(), time.Minute, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.times == 0 {
			return fmt.Errorf("no stream yet: %v", l.bad)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// check: the listener has heard the end of every job once.
func (l *listener) check(t *testing.T, of *load) {
	t.Helper()
	err := within(t.Context(), time.Minute, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for id := range of.accepted {
			if l.ends[id] == 0 {
				return fmt.Errorf("nobody told of the end of %s", id)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, n := range l.ends {
		if n != 1 {
			t.Errorf("the end of %s was told %d times", id, n)
		}
	}
	for _, bad := range l.bad {
		t.Errorf("a stream of events ended with: %s", bad)
	}
	if l.times < 2 {
		t.Error("the stream of events never had to be taken up again, so nothing was tested")
	}
	t.Logf("%d ends heard over %d streams", len(l.ends), l.times)
}

// TestProcessesAreKilledInTurn: calls may be lost with the process that had them, and nothing else is.
func TestProcessesAreKilledInTurn(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 2, workers: 2})
	b, real := in.behind(t)
	l := in.drive(t)
	l.absent.Store(true)
	for _, n := range append(append([]*node{}, in.apis...), in.workers...) {
		pause(t, time.Second)
		if err := n.kill(); err != nil {
			t.Fatal(err)
		}
		if at := real[n]; at != "" {
			b.serves(t, at, false)
		}
		if err := n.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at := real[n]; at != "" {
			b.serves(t, at, true)
		}
	}
	l.absent.Store(false)
	l.recovered(t, time.Now())
	l.calm(t)
	in.stop(t)
}
