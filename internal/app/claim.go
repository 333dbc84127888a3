package app

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"waybill/internal/app/settings"
	"waybill/internal/job"
	"waybill/internal/secret"
)

// claimKey is where a namespace keeps whose it is, among the data that Temporal holds for its users.
const claimKey = "waybill.installation"

// namespaces is what a claim needs of Temporal.
type namespaces interface {
	DescribeNamespace(ctx context.Context, r *workflowservice.DescribeNamespaceRequest, o ...grpc.CallOption) (*workflowservice.DescribeNamespaceResponse, error)
	UpdateNamespace(ctx context.Context, r *workflowservice.UpdateNamespaceRequest, o ...grpc.CallOption) (*workflowservice.UpdateNamespaceResponse, error)
}

// claim is the hold of one installation on a namespace. Of two installations in one namespace, such as one for tests that is
// pointed at the Temporal of the real one, each would take the other's workflows for orphans and end them within a minute.
type claim struct {
	engine             namespaces
	address, namespace string
	mine               string // tells installations apart
	own                bool   // the engine is this process's, so the namespace is too, whatever it says
	log                *slog.Logger
}

// claimNamespace takes the namespace of Temporal for this installation, or refuses to work in another's; one of the embedded
// engine is taken anyway, so that others keep away. All processes of an installation have its master key, and no other has it.
func (p *parts) claimNamespace(ctx context.Context, address string, own bool) error {
	return p.claimOf(address, own).make(ctx)
}

func (p *parts) claimOf(address string, own bool) claim {
	return claim{
		engine: p.temporal.WorkflowService(), address: address, namespace: p.namespace,
		mine: installationOf(p.keys), own: own, log: p.log,
	}
}

// Of two installations that take a free namespace at the same moment both may see their own name in it, each before the other writes
// its. So it is looked at again: soon, and then once a minute, in case somebody takes it over.
const (
	claimFirst = 10 * time.Second
	claimEvery = time.Minute
	claimTime  = 10 * time.Second // for an answer
)

// watchClaim ends the process when another installation has its namespace: none of its processes may work there.
func (p *parts) watchClaim() {
	if p.settings.Temporal.Address == "" {
		return // it is that of the embedded engine
	}
	c := p.claimOf(p.settings.Temporal.Address, false)
	p.background("claim of the namespace", func(ctx context.Context) {
		if err := c.watch(ctx, claimFirst, claimEvery); err != nil {
			p.log.ErrorContext(ctx, "this process ends", "error", err)
			p.fail(err)
		}
	})
}

// watch returns when another installation has the namespace, with the error that says so, or when ctx ends.
func (c claim) watch(ctx context.Context, first, every time.Duration) error {
	for pause := first; ; pause = every {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if err := c.ours(ctx); job.CodeOf(err) == job.Invalid {
			return err
		}
	}
}

// ours is nil unless another installation has the namespace, or it can not be read.
func (c claim) ours(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	_, err := c.look(ctx)
	return err
}

// installationOf tells installations apart by their root key.
func installationOf(root secret.Keys) string {
	return hex.EncodeToString(root.Derive("installation")[:12])
}

func (c claim) make(ctx context.Context) error {
	if free, err := c.look(ctx); !free {
		return err
	}
	_, err := c.engine.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: c.namespace, UpdateInfo: &namespace.UpdateNamespaceInfo{Data: map[string]string{claimKey: c.mine}},
	})
	switch code := serviceerror.ToStatus(err).Code(); {
	case err == nil:
		_, err := c.look(ctx) // of two at once the later one has it; the other one finds out here, or by watchClaim
		return err
	case code == codes.PermissionDenied, code == codes.Unimplemented, code == codes.InvalidArgument:
		c.log.WarnContext(ctx, "the namespace does not let us write down that it is ours; see to it that no other Waybill uses it",
			"namespace", c.namespace, "error", err)
		return nil
	}
	return engineFault(err, "the namespace %q can not be taken", c.namespace)
}

// look tells whether nobody has the namespace. That somebody else has it is an error.
func (c claim) look(ctx context.Context) (free bool, err error) {
	answer, err := c.engine.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: c.namespace})
	if err != nil {
		return false, engineFault(err, "the namespace %q can not be read", c.namespace)
	}
	switch by := answer.GetNamespaceInfo().GetData()[claimKey]; {
	case by == c.mine:
		return false, nil
	case by == "" || c.own:
		return true, nil
	}
	return false, job.Errorf(job.Invalid, job.WordInvalidField,
		"the namespace %q belongs to another Waybill, with another master key: each would end the other's jobs. Name one of its own in %s; "+
			"if that Waybill is gone, take its namespace with: temporal operator namespace update --address %s --namespace %s --data %s=%s",
		c.namespace, settings.Name("temporal-namespace"), c.address, c.namespace, claimKey, c.mine)
}
