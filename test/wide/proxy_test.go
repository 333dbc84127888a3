package wide

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy stands between one process and a server that it needs.
type proxy struct {
	name  string
	inner *toxiproxy.Proxy
}

func newProxy(name, upstream string) (*proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("the proxy of the %s: %w", name, err)
	}
	return &proxy{name, p}, nil
}

func (p *proxy) address() string { return p.inner.Listen }

func (p *proxy) close() { p.inner.Stop() }

// The ways in which a server is away.
const (
	frozen  = "frozen"  // connections stay, answers come late: when it is over
	dropped = "dropped" // connections stay and nothing comes through; when it is over they are cut
	refused = "refused" // connections are cut at once, new ones are refused
)

// away makes the server unreachable in one of the ways until back is called.
func (p *proxy) away(how string) (back func() error, err error) {
	if how == refused {
		p.inner.Stop()
		return func() error {
			// Its port was free for a while; somebody's connection may go out through it for a moment.
			var err error
			for range 100 {
				if err = p.inner.Start(); err == nil {
					return nil
				}
				time.Sleep(100 * time.Millisecond)
			}
			return fmt.Errorf("the proxy of the %s does not start again: %w", p.name, err)
		}, nil
	}
	toxic := `{"name": %q, "type": "timeout", "stream": %q, "attributes": {"timeout": 0}}`
	if how == frozen {
		toxic = `{"name": %q, "type": "latency", "stream": %q, "attributes": {"latency": 600000}}`
	}
	streams := []string{"upstream", "downstream"}
	for _, s := range streams {
		if _, err := p.inner.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(toxic, how+s, s))); err != nil {
			return nil, fmt.Errorf("the proxy of the %s: %w", p.name, err)
		}
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, s := range streams {
			if err := p.inner.Toxics.RemoveToxic(ctx, how+s); err != nil {
				return fmt.Errorf("the proxy of the %s: %w", p.name, err)
			}
		}
		return nil
	}, nil
}
