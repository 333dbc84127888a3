// Package proxy puts a proxy between processes under test and a server that they need, which can then be away in several ways. It
// imports nothing of Waybill.
package proxy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy stands between processes and a server that they need.
type Proxy struct {
	name  string
	inner *toxiproxy.Proxy
}

// New starts a proxy to a server. The name is for messages.
func New(name, upstream string) (*Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("the proxy of the %s: %w", name, err)
	}
	return &Proxy{name, p}, nil
}

// Address is where the proxy listens, host:port.
func (p *Proxy) Address() string { return p.inner.Listen }

// Name is that of messages.
func (p *Proxy) Name() string { return p.name }

// Close ends the proxy and all connections.
func (p *Proxy) Close() { p.inner.Stop() }

// The ways in which a server is away.
const (
	Frozen  = "frozen"  // connections stay, answers come late: when it is over
	Dropped = "dropped" // connections stay and nothing comes through; when it is over they are cut
	Refused = "refused" // connections are cut at once, new ones are refused
)

// Ways are all of them.
var Ways = []string{Frozen, Dropped, Refused}

// Away makes the server unreachable in one of the ways until back is called.
func (p *Proxy) Away(how string) (back func() error, err error) {
	if how == Refused {
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
	if how == Frozen {
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

// Slow lets no more than rate kilobytes a second through to the server, until back is called. It may be made slower still, at another rate.
func (p *Proxy) Slow(rate int) (back func() error, err error) {
	name := fmt.Sprintf("slow%d", rate)
	toxic := fmt.Sprintf(`{"name": %q, "type": "bandwidth", "stream": "upstream", "attributes": {"rate": %d}}`, name, rate)
	if _, err := p.inner.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		return nil, fmt.Errorf("the proxy of the %s: %w", p.name, err)
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return p.inner.Toxics.RemoveToxic(ctx, name)
	}, nil
}
