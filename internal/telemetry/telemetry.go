package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// Config says where traces go. What it leaves empty is taken from the environment variables that OpenTelemetry defines
// (OTEL_EXPORTER_OTLP_..., OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES and others).
type Config struct {
	Endpoint string // URL of a collector
	Protocol string // grpc or http/protobuf
	// Sampling is the part of the traces begun here that is kept, 0 to 1; negative: as the environment says, else all. A
	// caller that says whether its trace is kept is followed.
	Sampling float64
	Service  string // service.name, unless the environment names one
	Version  string
	Instance string // of the process
	Log      *slog.Logger
}

// The protocols.
const (
	GRPC = "grpc"
	HTTP = "http/protobuf"
)

// Tracing is how a process takes part in traces. nil takes no part.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Wanted tells whether settings or environment name a place for traces.
func (c Config) Wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return c.Endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" ||
		os.Getenv("OTEL_TRACES_EXPORTER") == "otlp"
}

// Start sets tracing up, or returns nil where nobody wants it. A collector that is away is no fault: spans are given up
// meanwhile, and the log says so.
func Start(ctx context.Context, c Config) (*Tracing, error) {
	if !c.Wanted() {
		return nil, nil //nolint:nilnil // nil takes no part
	}
	exporter, err := newExporter(ctx, c)
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "Traces can not be set up: %s", err)
	}
	return start(ctx, c, sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(batchTime)))
}

// batchTime is how long spans wait to be sent together (OTEL_BSP_SCHEDULE_DELAY would be 5 s).
const batchTime = 2 * time.Second

func start(ctx context.Context, c Config, sink sdktrace.TracerProviderOption) (*Tracing, error) {
	about, err := newResource(ctx, c)
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "Traces can not be set up: %s", err)
	}
	options := []sdktrace.TracerProviderOption{sink, sdktrace.WithResource(about), sdktrace.WithIDGenerator(ids{})}
	if c.Sampling >= 0 { // else the SDK asks the environment
		options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sampling))))
	}
	otel.SetErrorHandler(&complaints{log: c.Log})
	provider := sdktrace.NewTracerProvider(options...)
	return &Tracing{provider: provider, tracer: provider.Tracer(tracing.Scope, trace.WithInstrumentationVersion(c.Version))}, nil
}

// Tracer begins spans; nil without tracing.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}

// Stop sends what is left.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the last spans were not sent: %w", err)
	}
	return nil
}

func newExporter(ctx context.Context, c Config) (*otlptrace.Exporter, error) {
	protocol := c.Protocol
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol == "" {
			protocol = os.Getenv(name)
		}
	}
	switch protocol {
	case GRPC:
		var options []otlptracegrpc.Option
		if c.Endpoint != "" {
			options = append(options, otlptracegrpc.WithEndpointURL(c.Endpoint))
		}
		return otlptracegrpc.New(ctx, options...)
	case HTTP, "":
		var options []otlptracehttp.Option
		if c.Endpoint != "" {
			full, err := tracesURL(c.Endpoint)
			if err != nil {
				return nil, err
			}
			options = append(options, otlptracehttp.WithEndpointURL(full))
		}
		return otlptracehttp.New(ctx, options...)
	}
	return nil, fmt.Errorf("the OTLP protocol is %s or %s, not %q", GRPC, HTTP, protocol)
}

// tracesURL is where traces go below an endpoint, which is for all signals (OTLP exporter specification, endpoint URLs).
func tracesURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	return u.JoinPath("v1", "traces").String(), nil
}

// newResource tells who sends. The environment has the last word.
func newResource(ctx context.Context, c Config) (*resource.Resource, error) {
	r, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", c.Service), attribute.String("service.namespace", "waybill"),
			attribute.String("service.version", c.Version), attribute.String("service.instance.id", c.Instance),
		),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv(),
	)
	if errors.Is(err, resource.ErrPartialResource) || errors.Is(err, resource.ErrSchemaURLConflict) {
		return r, nil // it lacks what this machine does not tell
	}
	return r, err
}

// complaints logs faults of the exporter, now and then: a collector that is away fails every batch.
type complaints struct {
	log  *slog.Logger
	last atomic.Int64 // unix nanoseconds
}

const complainEvery = time.Minute

// Handle is otel.ErrorHandler's.
func (c *complaints) Handle(err error) {
	now, last := time.Now().UnixNano(), c.last.Load()
	if c.log == nil || now-last < int64(complainEvery) || !c.last.CompareAndSwap(last, now) {
		return
	}
	c.log.Warn("traces are not delivered", "error", err)
}
