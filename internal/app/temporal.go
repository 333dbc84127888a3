package app

import (
	"context"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// dialTemporal connects to the engine.
func dialTemporal(ctx context.Context, address, namespace string, logger *slog.Logger) (client.Client, error) {
	c, err := client.DialContext(ctx, client.Options{
		HostPort: address, Namespace: namespace, Logger: sdkLogger{log.NewStructuredLogger(logger)},
	})
	if err != nil {
		return nil, fmt.Errorf("the engine at %s can not be reached: %w", address, err)
	}
	return c, nil
}

// sdkLogger lowers the SDK's information to debug: it writes several lines for each start and stop of a worker, and a
// line for each failed attempt of an activity, which the job's own row tells better.
type sdkLogger struct{ log.Logger }

func (l sdkLogger) Info(msg string, keyvals ...any) { l.Debug(msg, keyvals...) }
