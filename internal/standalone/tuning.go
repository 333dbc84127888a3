package standalone

import (
	"time"

	"go.temporal.io/server/common/dynamicconfig"
)

// offline is set whatever the tuning: no request leaves the machine.
func offline() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.EnableServerVersionCheck.Key(): false, // it would call a public service
	}
}

// tuned fits the server to a single node with one user: Waybill. docs/adr/0002-embedded-engine.md has the figures.
func tuned() dynamicconfig.StaticClient {
	c := offline()

	// The queue processors poll at most this often per second and shard. The default of 20 makes each hop between
	// workflow and activity wait up to 50 ms.
	const polls = 1000
	c[dynamicconfig.TransferProcessorMaxPollRPS.Key()] = polls
	c[dynamicconfig.TimerProcessorMaxPollRPS.Key()] = polls
	c[dynamicconfig.OutboundProcessorMaxPollRPS.Key()] = polls

	// Visibility is the other way round. Nobody waits for it, and by the time it is polled a short workflow has ended: its
	// start and its updates are then skipped and only its end is written. Lists lag by a tenth of a second. The larger
	// batch lets ten polls keep up with thousands of workflows a second.
	c[dynamicconfig.VisibilityProcessorMaxPollRPS.Key()] = 10
	c[dynamicconfig.VisibilityTaskBatchSize.Key()] = 1000

	// The server drops a notification for a long poll that has not read the one before, which fast workflows provoke: one
	// wait for a result in a few hundred then lasted the full 20 s. So polls come back sooner and look again.
	c[dynamicconfig.HistoryLongPollExpirationInterval.Key()] = time.Second

	// One node: a second partition of a task queue only adds forwarding.
	c[dynamicconfig.MatchingNumTaskqueueReadPartitions.Key()] = 1
	c[dynamicconfig.MatchingNumTaskqueueWritePartitions.Key()] = 1

	// First task to the starter, next task to the worker that made it.
	c[dynamicconfig.EnableEagerWorkflowStart.Key()] = true
	c[dynamicconfig.EnableActivityEagerExecution.Key()] = true

	// The limits protect tenants of a shared cluster from each other. Here they would only slow Waybill down.
	const unlimited = 1_000_000
	for _, key := range []dynamicconfig.Key{
		dynamicconfig.FrontendRPS.Key(),
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key(),
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(),
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(),
		dynamicconfig.FrontendPersistenceMaxQPS.Key(),
		dynamicconfig.HistoryRPS.Key(),
		dynamicconfig.HistoryPersistenceMaxQPS.Key(),
		dynamicconfig.MatchingRPS.Key(),
		dynamicconfig.MatchingPersistenceMaxQPS.Key(),
		dynamicconfig.VisibilityPersistenceMaxReadQPS.Key(),
		dynamicconfig.VisibilityPersistenceMaxWriteQPS.Key(),
	} {
		c[key] = unlimited
	}

	// Workflows are short and end soon: the default keeps up to 128,000 of them in memory for an hour.
	c[dynamicconfig.HistoryCacheHostLevelMaxSize.Key()] = 2048
	c[dynamicconfig.HistoryCacheTTL.Key()] = 5 * time.Minute
	c[dynamicconfig.EventsCacheTTL.Key()] = 5 * time.Minute

	return c
}
