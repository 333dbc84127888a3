package engine

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"waybill/internal/job"
)

// gate passes calls on that come with the key, as Temporal Cloud does.
type gate struct {
	workflowservice.WorkflowServiceServer
	behind  workflowservice.WorkflowServiceClient
	key     atomic.Pointer[string]
	refuse  codes.Code
	address string
}

func newGate(t *testing.T, cert, keyFile string) *gate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(temporalAddress(t), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{behind: workflowservice.NewWorkflowServiceClient(conn), refuse: codes.Unauthenticated, address: l.Addr().String()}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)), grpc.UnaryInterceptor(
		func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			if got := strings.Join(md.Get("authorization"), "|"); got != "Bearer "+*g.key.Load() {
				return nil, status.Error(g.refuse, "no")
			}
			return next(ctx, in)
		}))
	workflowservice.RegisterWorkflowServiceServer(server, g)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		conn.Close()
	})
	return g
}

func (g *gate) GetSystemInfo(ctx context.Context, r *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return g.behind.GetSystemInfo(ctx, r)
}

func (g *gate) DescribeNamespace(ctx context.Context, r *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	return g.behind.DescribeNamespace(ctx, r)
}

func TestAnAPIKeyIsAskedForAnewForEveryCall(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue(t, t.TempDir(), "127.0.0.1", time.Now().Add(time.Hour))
	g := newGate(t, cert, key)
	var have atomic.Pointer[string]
	first, second := "key-1", "key-2"
	g.key.Store(&first)
	have.Store(&first)
	o := Options{
		Address: g.address, Namespace: "default", TLS: &TLS{CA: ca.file},
		Token: func(context.Context) (string, error) { return *have.Load(), nil },
	}
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	describe := func() error {
		_, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
		return err
	}
	if err := describe(); err != nil {
		t.Fatal(err)
	}
	g.key.Store(&second) // it was rotated over there
	if err := Fault(describe(), o); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "it refuses the API key") {
		t.Errorf("with the key of before: %v", err)
	}
	have.Store(&second)
	if err := describe(); err != nil {
		t.Errorf("with the new key: %v", err)
	}
}

func TestASignInThatIsRefusedSaysWhatToDo(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue(t, t.TempDir(), "127.0.0.1", time.Now().Add(time.Hour))
	g := newGate(t, cert, key)
	right := "right"
	g.key.Store(&right)
	wrong := func(context.Context) (string, error) { return "a-secret-key", nil }
	for want, test := range map[string]struct {
		code  codes.Code
		token func(context.Context) (string, error)
	}{
		"it refuses the API key":                              {codes.Unauthenticated, wrong},
		"it wants a sign-in":                                  {codes.Unauthenticated, nil},
		"it does not let the API key use the namespace other": {codes.PermissionDenied, wrong},
		"it does not let us use the namespace other":          {codes.PermissionDenied, nil},
	} {
		g.refuse = test.code
		c, err := Dial(t.Context(), Options{Address: g.address, Namespace: "other", TLS: &TLS{CA: ca.file}, Token: test.token})
		if err == nil {
			c.Close()
			t.Errorf("%s: it connects", want)
			continue
		}
		if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %s: %v, want %q", job.CodeOf(err), err, want)
		}
		if strings.Contains(err.Error(), "a-secret-key") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func (g *gate) CountWorkflowExecutions(ctx context.Context, r *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	return g.behind.CountWorkflowExecutions(ctx, r)
}

// Temporal Cloud has no operator service.
func TestSearchAttributesOfAServerThatDoesNotListThem(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue(t, t.TempDir(), "127.0.0.1", time.Now().Add(time.Hour))
	g := newGate(t, cert, key)
	word := "key"
	g.key.Store(&word)
	for namespace, want := range map[string]string{"default": "", ownNamespace(t): "have all of these there: temporal operator search-attribute create"} {
		o := Options{Address: g.address, Namespace: namespace, TLS: &TLS{CA: ca.file}, Token: func(context.Context) (string, error) { return word, nil }}
		c, err := Dial(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = Prepare(t.Context(), c, o)
		if want == "" && err != nil || want != "" && (job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", namespace, err, want)
		}
	}
}
