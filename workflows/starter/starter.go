package starter

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"waybill/internal/job"
	"waybill/workflows"
	"waybill/workflows/contract"
)

// DefaultTimeout is how long a call waits for the engine when the Config names no other time.
const DefaultTimeout = 2 * time.Second

// Client is what the starter needs of Temporal; every client.Client has it.
type Client interface {
	ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	SignalWithStartWorkflow(ctx context.Context, workflowID, signal string, arg any, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	SignalWorkflow(ctx context.Context, workflowID, runID, signal string, arg any) error
	CancelWorkflow(ctx context.Context, workflowID, runID string) error
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	CheckHealth(ctx context.Context, r *client.CheckHealthRequest) (*client.CheckHealthResponse, error)
}

// Config are the starter's settings.
type Config struct {
	// Queue is the task queue of the workflows. Empty: contract.SystemQueue.
	Queue string
	// Timeout bounds one call to the engine, so that a submit answers soon when the engine is down. 0: DefaultTimeout.
	Timeout time.Duration
}

// Starter starts and cancels jobs in Temporal. It is safe for concurrent use.
type Starter struct {
	engine  Client
	queue   string
	timeout time.Duration
}

// New makes a Starter on a connected (or lazy) client, which also fixes the namespace. Share the client with the workers
// of the same process: eager start hands the first workflow task to a worker of the same client.
func New(c Client, cfg Config) *Starter {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Queue == "" {
		cfg.Queue = contract.SystemQueue
	}
	return &Starter{engine: c, queue: cfg.Queue, timeout: cfg.Timeout}
}

// StartJob starts Job for a first run, and Retry around it for a retry. A job is started once, ever: an id that is
// running or that ran before is left alone, and that is no error, so the call may be repeated after any doubt.
func (s *Starter) StartJob(ctx context.Context, in contract.JobInput) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	id, name, arg := contract.JobWorkflowID(in.JobID), contract.JobWorkflow, any(in)
	if in.Parent != "" {
		id, name, arg = contract.RetryWorkflowID(in.JobID), contract.RetryWorkflow, contract.RetryInput{Job: in}
	}
	_, err := s.engine.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                s.queue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		TypedSearchAttributes:    workflows.SearchAttributes(in),
		Memo:                     workflows.Memo(in),
		StaticSummary:            workflows.Summary(in),
		StaticDetails:            workflows.Details(in),
		EnableEagerStart:         true,
	}, name, arg)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) { // the SDK hides it by default; a client with other defaults may not
		return nil
	}
	return translate(ctx, err, "start the job")
}

// CancelJob asks the job's workflow to cancel: the Job itself, or the Retry around it that has not started it yet. No
// such workflow, or one that ended, is not an error: the row tells what became of the job.
func (s *Starter) CancelJob(ctx context.Context, id job.ID) error {
	err := s.cancel(ctx, contract.JobWorkflowID(id))
	if job.CodeOf(err) != job.NotFound {
		return err
	}
	if err = s.cancel(ctx, contract.RetryWorkflowID(id)); job.CodeOf(err) != job.NotFound {
		return err
	}
	return nil
}

func (s *Starter) cancel(ctx context.Context, workflowID string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.engine.CancelWorkflow(ctx, workflowID, "")
	var already *serviceerror.CancellationAlreadyRequested
	if errors.As(err, &already) {
		return nil
	}
	return translate(ctx, err, "cancel the job")
}

// Ping tells whether the engine answers.
func (s *Starter) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err := s.engine.CheckHealth(ctx, &client.CheckHealthRequest{})
	return translate(ctx, err, "check the engine")
}
