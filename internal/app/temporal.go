package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"

	"waybill/internal/app/settings"
	"waybill/internal/engine"
	"waybill/internal/job"
	"waybill/workflows/contract"
)

// attributesWithin is how long a Temporal may take to know search attributes that were just registered: its services read
// the namespace again every few seconds.
const attributesWithin = time.Minute

// externalEngine is how the Temporal of the settings is reached.
func (p *parts) externalEngine() engine.Options {
	t := p.settings.Temporal
	o := engine.Options{Address: t.Address, Namespace: t.Namespace, Token: t.Token(), KeepAlive: t.KeepAlive, MaxMessage: t.MaxMessage, Log: p.log}
	if t.TLS {
		o.TLS = &engine.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
	}
	return o
}

// embeddedEngine is how the Temporal of this process, or of the data folder, is reached. It asks for the token of the data folder
// unless it was told to let everybody in; then token is empty.
func (p *parts) embeddedEngine(address, namespace, token string) engine.Options {
	o := engine.Options{Address: address, Namespace: namespace, Log: p.log}
	if token != "" {
		o.Token = func(context.Context) (string, error) { return token, nil }
	}
	return o
}

// dialTemporal connects to the engine and sees to it that the namespace has our search attributes. An engine that does not
// answer is Unavailable; what has to be mended by a person is Invalid.
func dialTemporal(ctx context.Context, o engine.Options) (client.Client, error) {
	c, err := engine.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := prepareNamespace(ctx, c, o); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// prepareNamespace checks that the namespace is there and registers the search attributes it lacks.
func prepareNamespace(ctx context.Context, c client.Client, o engine.Options) error {
	address, namespace := o.Address, o.Namespace
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if noNamespace(err) {
		return job.Errorf(job.Invalid, job.WordInvalidField,
			"the namespace %q of %s does not exist; make it with waybill admin namespace create, or: temporal operator namespace create --address %s --namespace %s",
			namespace, settings.Name("temporal-namespace"), address, namespace)
	}
	if err != nil {
		return engine.Fault(err, o)
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
