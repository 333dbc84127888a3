package app

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"

	"waybill/internal/job"
)

// oneNamespace plays Temporal: data is the namespace's, faster is who takes it in the moment we write.
type oneNamespace struct {
	data            map[string]string
	readErr, setErr error
	faster          string
}

func (n *oneNamespace) DescribeNamespace(
	context.Context, *workflowservice.DescribeNamespaceRequest, ...grpc.CallOption,
) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{NamespaceInfo: &namespace.NamespaceInfo{Data: n.data}}, n.readErr
}

func (n *oneNamespace) UpdateNamespace(
	_ context.Context, r *workflowservice.UpdateNamespaceRequest, _ ...grpc.CallOption,
) (*workflowservice.UpdateNamespaceResponse, error) {
	if n.setErr == nil {
		n.data = r.GetUpdateInfo().GetData()
	}
	if n.faster != "" {
		n.data = map[string]string{claimKey: n.faster}
	}
	return &workflowservice.UpdateNamespaceResponse{}, n.setErr
}

func TestTheNamespaceOfTheEmbeddedEngineIsTakenAnyway(t *testing.T) {
	t.Parallel()
	n := &oneNamespace{data: map[string]string{claimKey: "the one before, whose master key is lost"}}
	err := claim{engine: n, namespace: "default", mine: "ours", own: true, log: slog.New(slog.DiscardHandler)}.make(t.Context())
	if err != nil || n.data[claimKey] != "ours" {
		t.Errorf("%v; held by %q", err, n.data[claimKey])
	}
}

func TestANamespaceIsTakenByOneInstallation(t *testing.T) {
	t.Parallel()
	held := func(by string) map[string]string { return map[string]string{claimKey: by, "team": "blue"} }
	for name, c := range map[string]struct {
		engine *oneNamespace
		want   job.Code
		holder string
	}{
		"nobody's":                 {&oneNamespace{data: map[string]string{"team": "blue"}}, "", "ours"},
		"ours":                     {&oneNamespace{data: held("ours")}, "", "ours"},
		"another's":                {&oneNamespace{data: held("another")}, job.Invalid, "another"},
		"another was faster":       {&oneNamespace{faster: "another"}, job.Invalid, "another"},
		"we may not write":         {&oneNamespace{setErr: serviceerror.NewPermissionDenied("no", "")}, "", ""},
		"it can not be read now":   {&oneNamespace{readErr: serviceerror.NewUnavailable("away")}, job.Unavailable, ""},
		"it can not be taken now":  {&oneNamespace{setErr: serviceerror.NewUnavailable("away")}, job.Unavailable, ""},
		"another's, and read-only": {&oneNamespace{data: held("another"), setErr: serviceerror.NewPermissionDenied("no", "")}, job.Invalid, "another"},
	} {
		err := claim{engine: c.engine, address: "host:7233", namespace: "prod", mine: "ours", log: slog.New(slog.DiscardHandler)}.make(t.Context())
		if job.CodeOf(err) != c.want || c.engine.data[claimKey] != c.holder {
			t.Errorf("%s: %v, want %q; held by %q, want %q", name, err, c.want, c.engine.data[claimKey], c.holder)
		}
		if c.want == job.Invalid && !strings.Contains(err.Error(), "--address host:7233 --namespace prod --data waybill.installation=ours") {
			t.Errorf("%s: %v does not say what to do", name, err)
		}
	}
}

// Both look while the namespace is free, and each sees itself after its own writing: only a later look tells them apart.
func TestOfTwoThatTakeANamespaceAtOnceOneFindsOut(t *testing.T) {
	t.Parallel()
	n := &oneNamespace{}
	by := func(mine string) claim {
		return claim{engine: n, address: "host:7233", namespace: "prod", mine: mine, log: slog.New(slog.DiscardHandler)}
	}
	a, b := by("a"), by("b")
	for _, c := range []claim{a, b} {
		n.data = nil // as this one saw it
		if err := c.make(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	soon, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	if err := a.watch(soon, time.Millisecond, time.Millisecond); job.CodeOf(err) != job.Invalid || a.ours(t.Context()) == nil {
		t.Errorf("who was first goes on: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.watch(ctx, time.Millisecond, time.Millisecond); err != nil || b.ours(t.Context()) != nil {
		t.Errorf("who has it ends: %v", err)
	}
	n.readErr = serviceerror.NewUnavailable("away")
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.watch(ctx, time.Millisecond, time.Millisecond); err != nil {
		t.Errorf("an engine that is away ends the process: %v", err)
	}
	if b.ours(t.Context()) == nil {
		t.Error("a namespace that can not be read is taken for one's own")
	}
}
