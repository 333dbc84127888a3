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
	// historyShards is fixed at the creation of the database. See the ADR for the measurement.
	historyShards = 1
)

// ports are where the server's four services listen.
type ports struct {
	frontend *net.TCPAddr
	// The others are internal and always on loopback.
	history, matching, worker int
}

// temporalServer is a running Temporal server.
type temporalServer struct {
	server  temporal.Server
	run     *serverRun
	address string // of the frontend, as clients dial it
}

// startTemporal boots the server on a prepared database and returns once it answers.
func startTemporal(ctx context.Context, c Config, db *config.SQL, p ports) (*temporalServer, error) {
	logger := newServerLogger(c.Logger)
	s := &temporalServer{run: logger.run, address: dialable(p.frontend)}
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
func (s *temporalServer) build(c Config, db *config.SQL, p ports, logger *serverLogger) (err error) {
	defer func() {
		if f, ok := recover().(fatal); ok {
			err = fmt.Errorf("set up the Temporal server: %w", f.err)
		}
	}()
	cfg := serverConfig(db, p, s.address)
	dynamic := tuned()
	if c.ServerDefaults {
		dynamic = offline()
	}
	s.server, err = temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(map[primitives.ServiceName]static.Hosts{
			primitives.FrontendService: static.SingleLocalHost(s.address),
			primitives.HistoryService:  static.SingleLocalHost(loopback(p.history)),
			primitives.MatchingService: static.SingleLocalHost(loopback(p.matching)),
			primitives.WorkerService:   static.SingleLocalHost(loopback(p.worker)),
		}),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithDynamicConfigClient(dynamic),
	)
	if err != nil {
		return fmt.Errorf("set up the Temporal server: %w", err)
	}
	s.run.built.Store(true)
	return nil
}

// stop ends the server, which has no deadline of its own.
func (s *temporalServer) stop(ctx context.Context) error {
	s.run.stopping.Store(true)
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
	conn, err := grpc.NewClient("passthrough:///"+s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
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

func serverConfig(db *config.SQL, p ports, frontend string) *config.Config {
	service := func(ip string, port int) config.Service {
		return config.Service{RPC: config.RPC{BindOnIP: ip, GRPCPort: port}}
	}
	var c config.Config
	c.Global.Membership.MaxJoinDuration = 30 * time.Second
	c.Global.Membership.BroadcastAddress = loopbackIP
	// No metrics reporter: without one the server's metrics cost nothing, and /metrics of Waybill tells about jobs.
	c.Persistence = config.Persistence{
		DefaultStore:     storeName,
		VisibilityStore:  storeName,
		NumHistoryShards: historyShards,
		DataStores:       map[string]config.DataStore{storeName: {SQL: db}},
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
	c.Services = map[string]config.Service{
		string(primitives.FrontendService): service(p.frontend.IP.String(), p.frontend.Port),
		string(primitives.HistoryService):  service(loopbackIP, p.history),
		string(primitives.MatchingService): service(loopbackIP, p.matching),
		string(primitives.WorkerService):   service(loopbackIP, p.worker),
	}
	c.Archival.History.State = "disabled"
	c.Archival.Visibility.State = "disabled"
	c.NamespaceDefaults.Archival.History.State = "disabled"
	c.NamespaceDefaults.Archival.Visibility.State = "disabled"
	c.PublicClient.HostPort = frontend
	return &c
}
