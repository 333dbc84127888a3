package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc/codes"
)

// Options is how a Temporal is reached. Only Address and Namespace must be given.
type Options struct {
	Address   string // host:port of the frontend
	Namespace string
	// TLS protects the connection; nil: it is in clear.
	TLS *TLS
	// Token signs in every call as "authorization: Bearer TOKEN": an API key, or the token of an embedded engine. It is asked for each
	// call, so that it can be replaced. nil, or an empty token: no sign-in.
	Token func(context.Context) (string, error)
	// KeepAlive is the silence after which the connection is probed. 0: 30 s.
	KeepAlive time.Duration
	// MaxMessage bounds a gRPC message in bytes, both ways. 0: 128 MiB.
	MaxMessage int
	// Codec seals and opens payloads, and messages and stacks of failures. nil: they are in clear, and sealed ones can not be read.
	Codec *Codec
	// Metrics takes what the SDK measures; nil: nothing.
	Metrics client.MetricsHandler
	// Interceptors watch the client's calls and the workflows and activities of its workers.
	Interceptors []interceptor.ClientInterceptor
	Log          *slog.Logger // nil: slog.Default
}

// Dial connects. What went wrong is told with what to do about it: Unavailable where waiting may mend it, else Invalid.
func Dial(ctx context.Context, o Options) (client.Client, error) {
	c, err := options(o)
	if err != nil {
		return nil, err
	}
	dialled, err := client.DialContext(ctx, c)
	if err == nil {
		return dialled, nil
	}
	if o.TLS != nil && serviceerror.ToStatus(err).Code() == codes.Unavailable {
		if why := o.TLS.probe(ctx, o.Address); why != nil {
			err = fmt.Errorf("%w: %w", err, why)
		}
	}
	return nil, Fault(err, o)
}

func options(o Options) (client.Options, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	c := client.Options{
		HostPort: o.Address, Namespace: o.Namespace, Logger: quiet{log.NewStructuredLogger(o.Log)}, MetricsHandler: o.Metrics, Interceptors: o.Interceptors,
		ConnectionOptions: client.ConnectionOptions{KeepAliveTime: o.KeepAlive, MaxPayloadSize: o.MaxMessage, TLSDisabled: o.TLS == nil},
	}
	if o.TLS != nil {
		config, err := o.TLS.config(o.Address)
		if err != nil {
			return c, err
		}
		c.ConnectionOptions.TLS = config
	}
	if o.Token != nil {
		c.Credentials = client.NewAPIKeyDynamicCredentials(o.Token)
	}
	if o.Codec != nil {
		c.DataConverter, c.FailureConverter = Converters(o.Codec)
	}
	return c, nil
}

// quiet lowers the SDK's information to debug: it writes several lines for each start and stop of a worker, and a
// line for each failed attempt of an activity, which the job's own row tells better.
type quiet struct{ log.Logger }

func (l quiet) Info(msg string, keyvals ...any) { l.Debug(msg, keyvals...) }

// Warn lowers what the SDK writes when an activity ended while its last sign of life was under way: nobody waited for it.
func (l quiet) Warn(msg string, keyvals ...any) {
	if msg == "RecordActivityHeartbeat with error" && slices.ContainsFunc(keyvals, isCanceled) {
		l.Debug(msg, keyvals...)
		return
	}
	l.Logger.Warn(msg, keyvals...)
}

func isCanceled(v any) bool {
	err, ok := v.(error)
	var canceled *serviceerror.Canceled
	return ok && (errors.Is(err, context.Canceled) || errors.As(err, &canceled))
}
