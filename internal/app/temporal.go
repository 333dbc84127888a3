package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc/codes"

	"waybill/internal/app/settings"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// attributesWithin is how long a Temporal may take to know search attributes that were just registered: its services read
// the namespace again every few seconds.
const attributesWithin = time.Minute

// temporalAt is where a Temporal is, and how one signs in to it.
type temporalAt struct {
	address, namespace string
	signIn             func(*client.Options) // nil: it asks for nothing
}

// embeddedAt is the embedded Temporal. It asks for the token of the data folder unless it was told to let everybody in.
func embeddedAt(address, namespace, token string) temporalAt {
	at := temporalAt{address: address, namespace: namespace}
	if token != "" {
		at.signIn = func(o *client.Options) {
			o.Credentials = client.NewAPIKeyStaticCredentials(token)
			o.ConnectionOptions.TLSDisabled = true // which the SDK takes for wanted beside a key; it is on loopback
		}
	}
	return at
}

// dialTemporal connects to the engine and sees to it that the namespace has our search attributes. An engine that does not
// answer is Unavailable; what has to be mended by a person is Invalid.
func dialTemporal(ctx context.Context, at temporalAt, logger *slog.Logger) (client.Client, error) {
	options := client.Options{HostPort: at.address, Namespace: at.namespace, Logger: sdkLogger{log.NewStructuredLogger(logger)}}
	if at.signIn != nil {
		at.signIn(&options)
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "the engine at %s can not be reached", at.address)
	}
	if err := prepareNamespace(ctx, c, at.address, at.namespace); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// prepareNamespace checks that the namespace is there and registers the search attributes it lacks.
func prepareNamespace(ctx context.Context, c client.Client, address, namespace string) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var absent *serviceerror.NamespaceNotFound
	var notFound *serviceerror.NotFound
	if errors.As(err, &absent) || errors.As(err, &notFound) {
		return job.Errorf(job.Invalid, job.WordInvalidField,
			"the namespace %q of %s does not exist; make it with: temporal operator namespace create --address %s --namespace %s",
			namespace, settings.Name("temporal-namespace"), address, namespace)
	}
	if err != nil {
		return engineFault(err, "the namespace %q can not be read", namespace)
	}
	list, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return engineFault(err, "the search attributes of the namespace %q can not be read", namespace)
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, wanted := range contract.SearchAttributeTypes() {
		want, err := enumspb.IndexedValueTypeFromString(wanted)
		if err != nil {
			return err
		}
		switch kind, there := list.GetCustomAttributes()[name]; {
		case !there:
			missing[name] = want
		case kind != want:
			return job.Errorf(job.Invalid, job.WordInvalidField,
				"the search attribute %s of the namespace %q is of type %s and must be %s", name, namespace, kind, wanted)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return register(ctx, c, address, namespace, missing)
}

func register(ctx context.Context, c client.Client, address, namespace string, missing map[string]enumspb.IndexedValueType) error {
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	var exists *serviceerror.AlreadyExists
	switch {
	case errors.As(err, &exists): // another process of ours was faster
	case err != nil && serviceerror.ToStatus(err).Code() == codes.Unavailable:
		return engineFault(err, "the search attributes can not be registered")
	case err != nil:
		var names []string
		for name, kind := range missing {
			names = append(names, "--name "+name+" --type "+kind.String())
		}
		slices.Sort(names)
		return job.Wrap(err, job.Invalid, job.WordInvalidField,
			"the namespace %q lacks search attributes and does not let us register them; do it with: "+
				"temporal operator search-attribute create --address %s --namespace %s %s",
			namespace, address, namespace, strings.Join(names, " "))
	}
	// Not every part of the server knows them at once, and a workflow with an unknown one is refused.
	ask := &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace, Query: queryOn(slices.Collect(maps.Keys(contract.SearchAttributeTypes())))}
	for over := time.Now().Add(attributesWithin); ; {
		_, err := c.CountWorkflow(ctx, ask)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(over) {
			return engineFault(err, "the search attributes of the namespace %q are registered but not in use", namespace)
		}
		select {
		case <-ctx.Done():
		case <-time.After(firstPause):
		}
	}
}

// queryOn is a query that needs all attributes and finds nothing.
func queryOn(names []string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s = 'none'", name)
	}
	return strings.Join(parts, " AND ")
}

func engineFault(err error, format string, args ...any) error {
	return job.Wrap(err, job.Unavailable, job.WordDependencyDown, format, args...)
}

// sdkLogger lowers the SDK's information to debug: it writes several lines for each start and stop of a worker, and a
// line for each failed attempt of an activity, which the job's own row tells better.
type sdkLogger struct{ log.Logger }

func (l sdkLogger) Info(msg string, keyvals ...any) { l.Debug(msg, keyvals...) }
