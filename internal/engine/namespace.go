package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// attributesWithin is how long a Temporal may take to know search attributes that were just registered: its services read
// the namespace again every few seconds; attributesPause is between two questions whether it does.
const (
	attributesWithin = time.Minute
	attributesPause  = 200 * time.Millisecond
)

// Prepare checks that the namespace is there and registers the search attributes it lacks. Where the server does not let us, as Temporal
// Cloud does not, the error says by which command a person does it.
func Prepare(ctx context.Context, c client.Client, o Options) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: o.Namespace})
	if noNamespace(err) {
		return job.Errorf(job.Invalid, job.WordInvalidField, "the namespace %q does not exist; %s", o.Namespace, o.makeNamespace())
	}
	if err != nil {
		return Fault(err, o)
	}
	missing, err := missingAttributes(ctx, c, o)
	if err != nil || len(missing) == 0 {
		return err
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: o.Namespace, SearchAttributes: missing})
	var exists *serviceerror.AlreadyExists
	switch {
	case errors.As(err, &exists): // another process of ours was faster
	case passing(err):
		return outage(err, "the search attributes can not be registered")
	case err != nil:
		return job.Wrap(err, job.Invalid, job.WordInvalidField,
			"the namespace %q lacks search attributes and does not let us register them; do it with: %s", o.Namespace, o.makeAttributes(missing))
	}
	return awaitAttributes(ctx, c, o)
}

func noNamespace(err error) bool {
	var absent *serviceerror.NamespaceNotFound
	var notFound *serviceerror.NotFound
	return errors.As(err, &absent) || errors.As(err, &notFound)
}

// passing tells whether it may go better another time.
func passing(err error) bool {
	code := serviceerror.ToStatus(err).Code()
	return err != nil && (code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.ResourceExhausted)
}

func outage(err error, format string, args ...any) error {
	return job.Wrap(err, job.Unavailable, job.WordDependencyDown, format, args...)
}

// missingAttributes lists the search attributes the namespace lacks. A server that does not list them is asked to use them.
func missingAttributes(ctx context.Context, c client.Client, o Options) (map[string]enumspb.IndexedValueType, error) {
	missing := map[string]enumspb.IndexedValueType{}
	for name, wanted := range contract.SearchAttributeTypes() {
		kind, err := enumspb.IndexedValueTypeFromString(wanted)
		if err != nil {
			return nil, err
		}
		missing[name] = kind
	}
	list, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: o.Namespace})
	if passing(err) {
		return nil, outage(err, "the search attributes of the namespace %q can not be read", o.Namespace)
	}
	if err != nil {
		var unknown *serviceerror.InvalidArgument
		switch _, used := c.CountWorkflow(ctx, useAll(o.Namespace)); {
		case used == nil:
			return nil, nil
		case errors.As(used, &unknown):
			return nil, job.Wrap(used, job.Invalid, job.WordInvalidField,
				"the namespace %q lacks search attributes and does not let us look which; have all of these there: %s", o.Namespace, o.makeAttributes(missing))
		default:
			return nil, Fault(used, o)
		}
	}
	for name, want := range missing {
		switch kind, there := list.GetCustomAttributes()[name]; {
		case !there:
		case kind != want:
			return nil, job.Errorf(job.Invalid, job.WordInvalidField,
				"the search attribute %s of the namespace %q is of type %s and must be %s", name, o.Namespace, kind, want)
		default:
			delete(missing, name)
		}
	}
	return missing, nil
}

// awaitAttributes waits until every part of the server knows the attributes: a workflow with an unknown one is refused.
func awaitAttributes(ctx context.Context, c client.Client, o Options) error {
	for over := time.Now().Add(attributesWithin); ; {
		_, err := c.CountWorkflow(ctx, useAll(o.Namespace))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(over) {
			return outage(err, "the search attributes of the namespace %q are registered but not in use", o.Namespace)
		}
		select {
		case <-ctx.Done():
		case <-time.After(attributesPause):
		}
	}
}

// useAll is a query that needs all attributes and finds nothing.
func useAll(namespace string) *workflowservice.CountWorkflowExecutionsRequest {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(contract.SearchAttributeTypes())) {
		parts = append(parts, fmt.Sprintf("%s = 'none'", name))
	}
	return &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace, Query: strings.Join(parts, " AND ")}
}

// Cloud tells whether the address is one of Temporal Cloud, by the names its manual gives: NAMESPACE.ACCOUNT.tmprl.cloud:7233 for client
// certificates, REGION.CLOUD.api.temporal.io:7233 for API keys.
func (o Options) Cloud() bool {
	host, _, err := net.SplitHostPort(o.Address)
	return err == nil && (strings.HasSuffix(host, ".tmprl.cloud") || strings.HasSuffix(host, ".api.temporal.io"))
}

func (o Options) makeNamespace() string {
	if o.Cloud() {
		return "in Temporal Cloud it is called NAMESPACE.ACCOUNT, and is made in the web console or with: tcld namespace create"
	}
	return fmt.Sprintf("make it with waybill admin namespace create, or: temporal operator namespace create --address %s --namespace %s", o.Address, o.Namespace)
}

// makeAttributes is the command that makes search attributes.
func (o Options) makeAttributes(missing map[string]enumspb.IndexedValueType) string {
	command, one := fmt.Sprintf("temporal operator search-attribute create --address %s --namespace %s", o.Address, o.Namespace), " --name %s --type %s"
	if o.Cloud() {
		command, one = "tcld namespace search-attributes add --namespace "+o.Namespace, " --search-attribute %s=%s"
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		command += fmt.Sprintf(one, name, missing[name])
	}
	return command
}
