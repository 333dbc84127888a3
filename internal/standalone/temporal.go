package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	clusterName = "active"
	storeName   = "sqlite"
	// visibilityName is the store of lists where it is not the same.
	visibilityName = "visibility"
	// historyShards is fixed at the creation of the SQLite file. See the ADR for the measurement.
	historyShards = 1
)

// ports are where the server's four services listen.
type ports struct {
	frontend *net.TCPAddr
	// The others are internal and always on loopback.
	history, matching, worker int
	// internal is the frontend of the server's own workers, which have no token. Not without sign-in.
	internal int
}

// temporalServer is a running Temporal server.
type temporalServer struct {
	server  temporal.Server
	run     *serverRun
	address string // of the frontend, as clients dial it
	token   string
	ports   ports
}

// startTemporal boots the server on a prepared database and returns once it answers.
func startTemporal(ctx context.Context, c Config, db stores, p ports, token string) (*temporalServer, error) {
	logger := newServerLogger(c.Logger)
	s := &temporalServer{run: logger.run, address: dialable(p.frontend), token: token, ports: p}
	if err := s.build(c, db, p, logger); err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go func() { started <- s.server.Start() }()
	err := func() error {
		select {
		case err := <-started:
			if err != nil {
				return err
			}
		case err := <-s.run.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return s.ready(ctx)
	}()
	if err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopDeadline)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("start the Temporal server: %w", err), s.stop(stop))
	}
	return s, nil
}

// build constructs the server, which binds its ports. Faults there reach us as a panic of our own logger.
func (s *temporalServer) build(c Config, db stores, p ports, logger *serverLogger) (err error) {
	defer func() {
		if f, ok := recover().(fatal); ok {
			err = fmt.Errorf("set up the Temporal server: %w", f.err)
		}
	}()
	cfg, hosts := serverConfig(db, p, s.address, s.token != "")
	access, err := accessOptions(s.token)
	if err != nil {
		return err
	}
	dynamic := tuned()
	if c.ServerDefaults {
		dynamic = offline()
	}
	services := make([]string, 0, len(hosts))
	for name := range hosts {
		services = append(services, string(name))
	}
	s.server, err = temporal.NewServer(append(access,
		temporal.WithConfig(cfg),
		temporal.ForServices(services),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(dynamic),
	)...)
	if err != nil {
		return fmt.Errorf("set up the Temporal server: %w", err)
	}
	s.run.built.Store(true)
	return nil
}

// stop ends the server, which has no deadline of its own.
func (s *temporalServer) stop(ctx context.Context) error {
	s.run.stopping.Store(true)
	s.run.away.end()
	done := make(chan error, 1)
	go func() { done <- s.server.Stop() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("stop the Temporal server: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the Temporal server: %w", context.Cause(ctx))
	}
}

// ready waits until the frontend answers for our namespace and makes up for search attributes that a later version of
// Waybill added to the contract.
func (s *temporalServer) ready(ctx context.Context) error {
	conn, err := grpc.NewClient("passthrough:///"+s.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(bearer(s.token)))
	if err != nil {
		return err
	}
	defer conn.Close()

	var ns *workflowservice.DescribeNamespaceResponse
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		ns, err = workflowservice.NewWorkflowServiceClient(conn).DescribeNamespace(ctx,
			&workflowservice.DescribeNamespaceRequest{Namespace: Namespace}, grpc.WaitForReady(true))
		if err == nil {
			break
		}
		select {
		case err := <-s.run.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("namespace %s: %w", Namespace, errors.Join(context.Cause(ctx), err))
		case <-time.After(wait):
		}
	}

	have := make(map[string]bool)
	for _, alias := range ns.GetConfig().GetCustomSearchAttributeAliases() {
		have[alias] = true
	}
	missing, err := attributeTypes()
	if err != nil {
		return err
	}
	for name := range have {
		delete(missing, name)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operatorservice.NewOperatorServiceClient(conn).AddSearchAttributes(ctx,
		&operatorservice.AddSearchAttributesRequest{Namespace: Namespace, SearchAttributes: missing})
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return nil
}

// accessOptions is who may call which of the server's services.
func accessOptions(token string) ([]temporal.ServerOption, error) {
	if token == "" {
		return []temporal.ServerOption{
			temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
			temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
		}, nil
	}
	own, err := newInternode()
	return []temporal.ServerOption{
		temporal.WithAuthorizer(holders{}),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return newTokenClaims(token) }),
		temporal.WithTLSConfigFactory(own),
	}, err
}

// serverConfig is the server's configuration, and where its services are. With sign-in its own workers, which have no token,
// come by a frontend of their own.
func serverConfig(db stores, p ports, frontend string, signIn bool) (*config.Config, map[primitives.ServiceName]static.Hosts) {
	var c config.Config
	c.Global.Membership.MaxJoinDuration = 30 * time.Second
	c.Global.Membership.BroadcastAddress = loopbackIP
	// No metrics reporter: without one the server's metrics cost nothing, and /metrics of Waybill tells about jobs.
	c.Persistence = config.Persistence{
		DefaultStore:     storeName,
		VisibilityStore:  storeName,
		NumHistoryShards: db.shards,
		DataStores:       map[string]config.DataStore{storeName: {SQL: db.main}},
	}
	if db.visibility != db.main {
		c.Persistence.VisibilityStore = visibilityName
		c.Persistence.DataStores[visibilityName] = config.DataStore{SQL: db.visibility}
	}
	c.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{
			clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
		},
	}
	c.DCRedirectionPolicy.Policy = "noop"
	c.Services = map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	service := func(name primitives.ServiceName, ip string, port int, address string) {
		c.Services[string(name)] = config.Service{RPC: config.RPC{BindOnIP: ip, GRPCPort: port}}
		hosts[name] = static.SingleLocalHost(address)
	}
	service(primitives.FrontendService, p.frontend.IP.String(), p.frontend.Port, frontend)
	service(primitives.HistoryService, loopbackIP, p.history, loopback(p.history))
	service(primitives.MatchingService, loopbackIP, p.matching, loopback(p.matching))
	service(primitives.WorkerService, loopbackIP, p.worker, loopback(p.worker))
	if signIn {
		service(primitives.InternalFrontendService, loopbackIP, p.internal, loopback(p.internal))
	} else {
		c.PublicClient.HostPort = frontend
	}
	c.Archival.History.State = "disabled"
	c.Archival.Visibility.State = "disabled"
	c.NamespaceDefaults.Archival.History.State = "disabled"
	c.NamespaceDefaults.Archival.Visibility.State = "disabled"
	return &c, hosts
}
