package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"waybill/internal/app/settings"
	"waybill/internal/engine"
	"waybill/internal/job"
)

// namespaceWithin is how long the services of a Temporal may take to know a new namespace.
const namespaceWithin = time.Minute

// makeNamespace makes the namespace of the settings where it is missing and the server allows it, and tells whether it did.
func (p *parts) makeNamespace(ctx context.Context, retention time.Duration) (made bool, err error) {
	at := p.externalEngine()
	err = await(ctx, p.log, "Temporal of "+settings.Name("temporal"), func(ctx context.Context) error {
		c, err := engine.Dial(ctx, at)
		if err != nil {
			return err
		}
		defer c.Close()
		made, err = registerNamespace(ctx, c.WorkflowService(), at.Namespace, retention)
		return err
	})
	return made, err
}

func registerNamespace(ctx context.Context, server workflowservice.WorkflowServiceClient, name string, retention time.Duration) (made bool, err error) {
	ask := &workflowservice.DescribeNamespaceRequest{Namespace: name}
	_, err = server.DescribeNamespace(ctx, ask)
	if err == nil {
		return false, nil
	}
	if !noNamespace(err) {
		return false, engineFault(err, "the namespace %q can not be read", name)
	}
	_, err = server.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, Description: "Jobs of Waybill", WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	switch code := serviceerror.ToStatus(err).Code(); {
	case errors.As(err, &exists): // another process was faster
	case err != nil && (code == codes.Unavailable || code == codes.DeadlineExceeded):
		return false, engineFault(err, "the namespace %q can not be made", name)
	case err != nil:
		return false, job.Wrap(err, job.Invalid, job.WordInvalidField, "the namespace %q does not exist, and the server does not let us make it (%s); "+
			"make it with the means of whoever runs the server, with at least a day of retention", name, code)
	default:
		made = true
	}
	// Frontends learn of it from the database, every few seconds.
	for over := time.Now().Add(namespaceWithin); ; {
		if _, err = server.DescribeNamespace(ctx, ask); err == nil {
			return made, nil
		}
		if ctx.Err() != nil || time.Now().After(over) {
			return made, engineFault(err, "the namespace %q is made but not in use", name)
		}
		select {
		case <-ctx.Done():
		case <-time.After(firstPause):
		}
	}
}

func noNamespace(err error) bool {
	var absent *serviceerror.NamespaceNotFound
	var notFound *serviceerror.NotFound
	return errors.As(err, &absent) || errors.As(err, &notFound)
}

// CreateNamespace makes the namespace where it is missing, with its search attributes.
func CreateNamespace(ctx context.Context, s settings.Settings, log *slog.Logger, retention time.Duration) (made bool, err error) {
	p := newParts(s, log)
	defer func() {
		audit, closed := auditBeside(ctx, s, log)
		noteAct(ctx, audit, "namespace.create", "namespace", s.Temporal.Namespace, madeChange(made), err)
		err = errors.Join(err, closed())
	}()
	if made, err = p.makeNamespace(ctx, retention); err != nil {
		return made, err
	}
	at := p.externalEngine()
	err = await(ctx, log, "Temporal of "+settings.Name("temporal"), func(ctx context.Context) error {
		c, err := dialTemporal(ctx, at)
		if err == nil {
			c.Close()
		}
		return err
	})
	return made, err
}

func madeChange(made bool) []job.AuditChange {
	if made {
		return []job.AuditChange{{Field: "made", After: "yes"}}
	}
	return []job.AuditChange{{Field: "made", After: "no: it was there"}}
}
