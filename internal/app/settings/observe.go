package settings

import (
	"net/url"
	"strconv"
)

// Observe is what is told of a running process, and where.
type Observe struct {
	OTLPEndpoint  string  // URL of a collector of traces; empty: as the OTEL_... variables say, else none
	OTLPProtocol  string  // grpc or http/protobuf; empty: as the OTEL_... variables say, else the second
	TraceSampling float64 // 0 to 1; negative: as the OTEL_... variables say, else 1
	AccessLog     bool
	MetricsListen string // worker only; empty: nowhere
}

var observeSettings = []setting{
	{name: "otlp-endpoint", help: "URL of an OpenTelemetry collector that takes traces, such as http://collector:4318 (default: as OTEL_EXPORTER_OTLP_ENDPOINT says, else no traces)"},
	{name: "otlp-protocol", help: "grpc or http/protobuf (default: as OTEL_EXPORTER_OTLP_PROTOCOL says, else http/protobuf)"},
	{name: "trace-sampling", help: "part of the traces begun here that is kept, 0 to 1 (default: as OTEL_TRACES_SAMPLER says, else all)"},
	{name: "access-log", only: servers, value: "off", help: "a line in the log for each request: on or off"},
	{name: "metrics-listen", only: workers, help: "address for /metrics, /healthz and /readyz of the worker, such as 127.0.0.1:9464 (default: none)"},
}

func (p *parser) observe() Observe {
	o := Observe{
		OTLPEndpoint: p.url("otlp-endpoint"), OTLPProtocol: p.word("otlp-protocol", "", "grpc", "http/protobuf"), TraceSampling: -1,
		AccessLog: p.word("access-log", "off", "on") == "on", MetricsListen: p.optionalAddress("metrics-listen"),
	}
	if v := p.k.String("trace-sampling"); v != "" {
		part, err := strconv.ParseFloat(v, 64)
		if err != nil || !(part >= 0 && part <= 1) {
			p.fault("trace-sampling", "is a number between 0 and 1, not %q", v)
		}
		o.TraceSampling = part
	}
	if u, err := url.Parse(o.OTLPEndpoint); err == nil && u.Path != "" && o.OTLPProtocol == "grpc" {
		p.fault("otlp-endpoint", "has no path with the protocol grpc")
	}
	return o
}
