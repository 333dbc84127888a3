package standalone

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/api/adminservice/v1"
	"go.temporal.io/server/api/historyservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func connection(t *testing.T, address string, secure credentials.TransportCredentials, token string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(secure), grpc.WithPerRPCCredentials(bearer(token)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestFrontendAsksForTheToken(t *testing.T) {
	dir := t.TempDir()
	e := start(t, freePorts(dir))
	info, err := os.Stat(filepath.Join(dir, TokenFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the token's file: %v, %v", info, err)
	}
	kept, err := ReadToken(dir)
	if err != nil || kept != e.Token() || len(kept) != 64 {
		t.Fatalf("the token read back is %q, %v; the engine's is %q", kept, err, e.Token())
	}
	if err := runGreet(t.Context(), dial(t, e), "held"); err != nil {
		t.Fatalf("with the token: %v", err)
	}
	plain := insecure.NewCredentials()
	for name, token := range map[string]string{"no token": "", "a wrong token": strings.Repeat("0", 64), "a part of it": kept[:63], "more than it": kept + "0"} {
		t.Run(name, func(t *testing.T) {
			conn := connection(t, e.TemporalAddress(), plain, token)
			workflows, calls := workflowservice.NewWorkflowServiceClient(conn), map[string]func(context.Context) error{}
			calls["list"] = func(ctx context.Context) error {
				_, err := workflows.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: Namespace})
				return err
			}
			calls["terminate"] = func(ctx context.Context) error {
				_, err := workflows.TerminateWorkflowExecution(ctx, &workflowservice.TerminateWorkflowExecutionRequest{Namespace: Namespace})
				return err
			}
			calls["start"] = func(ctx context.Context) error {
				_, err := workflows.StartWorkflowExecution(ctx, &workflowservice.StartWorkflowExecutionRequest{Namespace: Namespace})
				return err
			}
			calls["poll"] = func(ctx context.Context) error {
				_, err := workflows.PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{Namespace: Namespace})
				return err
			}
			calls["cluster"] = func(ctx context.Context) error {
				_, err := workflows.GetClusterInfo(ctx, &workflowservice.GetClusterInfoRequest{})
				return err
			}
			calls["operator"] = func(ctx context.Context) error {
				_, err := operatorservice.NewOperatorServiceClient(conn).AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
					Namespace: Namespace, SearchAttributes: map[string]enums.IndexedValueType{"X": enums.INDEXED_VALUE_TYPE_KEYWORD},
				})
				return err
			}
			calls["admin"] = func(ctx context.Context) error {
				_, err := adminservice.NewAdminServiceClient(conn).DescribeCluster(ctx, &adminservice.DescribeClusterRequest{})
				return err
			}
			calls["stream"] = func(ctx context.Context) error {
				stream, err := adminservice.NewAdminServiceClient(conn).StreamWorkflowReplicationMessages(ctx)
				if err != nil {
					return err
				}
				if _, err = stream.Recv(); err != nil && strings.Contains(err.Error(), "unauthorized") {
					return status.Error(codes.PermissionDenied, err.Error()) // for streams the server sets no code
				}
				return err
			}
			for call, try := range calls {
				if err := try(t.Context()); status.Code(err) != codes.PermissionDenied {
					t.Errorf("%s answers %v, want permission denied", call, err)
				}
			}
			if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{
				Service: workflowservice.WorkflowService_ServiceDesc.ServiceName,
			}); err != nil {
				t.Errorf("the health check answers %v", err)
			}
		})
	}
	t.Run("a new file is a new token", func(t *testing.T) {
		stop(t, e)
		if err := os.Remove(filepath.Join(dir, TokenFile)); err != nil {
			t.Fatal(err)
		}
		e = start(t, freePorts(dir))
		if e.Token() == kept {
			t.Error("the token is the old one")
		}
		conn := connection(t, e.TemporalAddress(), plain, kept)
		_, err := workflowservice.NewWorkflowServiceClient(conn).ListWorkflowExecutions(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: Namespace})
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("the old token is answered %v", err)
		}
	})
}

// TestInnerServicesAskForTheCertificate: what listens beside the frontend asks for no token, so nobody else may get through.
func TestInnerServicesAskForTheCertificate(t *testing.T) {
	e := start(t, freePorts(t.TempDir()))
	other, err := newInternode()
	if err != nil {
		t.Fatal(err)
	}
	strange := other.client.Clone()
	strange.InsecureSkipVerify = true
	p := e.temporal.ports
	for name, port := range map[string]int{"history": p.history, "matching": p.matching, "internal frontend": p.internal} {
		for kind, secure := range map[string]credentials.TransportCredentials{
			"plain": insecure.NewCredentials(), "TLS without a certificate": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
			"TLS with another certificate": credentials.NewTLS(strange),
		} {
			conn := connection(t, loopback(port), secure, e.Token())
			if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
				t.Errorf("%s by %s answers %v", name, kind, err)
			}
			if _, err := historyservice.NewHistoryServiceClient(conn).CloseShard(t.Context(), &historyservice.CloseShardRequest{ShardId: 1}); status.Code(err) != codes.Unavailable {
				t.Errorf("%s by %s lets a shard be closed: %v", name, kind, err)
			}
		}
	}
}

func TestOpenEngineAsksForNothing(t *testing.T) {
	c := freePorts(t.TempDir())
	c.Open, c.SignIn = true, nil
	e := start(t, c)
	if e.Token() != "" {
		t.Error("it has a token")
	}
	open, err := client.Dial(client.Options{HostPort: e.TemporalAddress(), Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := runGreet(t.Context(), open, "first"); err != nil {
		t.Fatal(err)
	}
	if res, body := get(t, "http://"+e.UIAddress()+"/api/v1/namespaces/default/workflows?query=", "localhost"); res.StatusCode != http.StatusOK {
		t.Errorf("the Web UI answers %s, %.200q", res.Status, body)
	}
}

func TestWebUIAsksWhoIsThere(t *testing.T) {
	c := freePorts(t.TempDir())
	broken := errors.New("no database")
	c.SignIn = func(_ context.Context, user, password, remote string) error {
		switch {
		case remote != "127.0.0.1":
			t.Errorf("the caller is at %q", remote)
		case user == "broken":
			return broken
		case user == uiUser && password == uiPassword:
			return nil
		}
		return ErrRefused
	}
	e := start(t, c)
	ask := func(method, path, user, password string, header http.Header) (int, http.Header) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+e.UIAddress()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name := range header {
			req.Header.Set(name, header.Get(name))
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode, res.Header
	}
	const list = "/api/v1/namespaces/default/workflows?query="
	for _, path := range []string{"/", "/namespaces/default/workflows", list, "/api/v1/settings"} {
		if code, h := ask(http.MethodGet, path, "", "", nil); code != http.StatusUnauthorized || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s without credentials answers %d, %v", path, code, h)
		}
		if code, _ := ask(http.MethodGet, path, uiUser, "wrong", nil); code != http.StatusUnauthorized {
			t.Errorf("%s with a wrong password answers %d", path, code)
		}
		if code, _ := ask(http.MethodGet, path, "", "", http.Header{"Authorization": {"Bearer " + e.Token()}}); code != http.StatusUnauthorized {
			t.Errorf("%s with the frontend's token answers %d", path, code)
		}
		if code, _ := ask(http.MethodGet, path, "broken", "x", nil); code != http.StatusServiceUnavailable {
			t.Errorf("%s answers %d while nobody can be looked up", path, code)
		}
		if code, _ := ask(http.MethodGet, path, uiUser, uiPassword, nil); code != http.StatusOK {
			t.Errorf("%s answers an admin %d", path, code)
		}
	}
	if code, _ := ask(http.MethodGet, "/healthz", "", "", nil); code != http.StatusOK {
		t.Errorf("/healthz answers %d", code)
	}
	// A page of somebody else's can make the browser send the credentials, so they must not be enough to change something.
	if code, _ := ask(http.MethodPost, "/api/v1/namespaces/default/workflows/x/terminate", uiUser, uiPassword, nil); code != http.StatusBadRequest && code != http.StatusForbidden {
		t.Errorf("a change without the page's own mark answers %d", code)
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, TokenFile)
	for text, good := range map[string]bool{"": false, "short\n": false, strings.Repeat("a b ", 20): false, strings.Repeat("k", 40) + "\n": true} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		token, err := loadToken(dir)
		if good != (err == nil) || good && token != strings.TrimSpace(text) {
			t.Errorf("%q is taken for the token %q, %v", text, token, err)
		}
		if info, err := os.Stat(path); good && (err != nil || info.Mode().Perm() != 0o600) {
			t.Errorf("the file stays open to others: %v, %v", info, err)
		}
	}
}
