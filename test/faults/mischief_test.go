package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"waybill/test/internal/proxy"
)

// fault is something that goes wrong. It ends before its function returns, whatever becomes of ctx.
type fault struct {
	name string
	do   func(ctx context.Context, r *rand.Rand) (what string, err error)
}

// faults are what can go wrong, in groups; in each group one thing happens at a time.
func (s *system) faults() [][]fault {
	processes := []fault{{"kill up", s.killUp}, {"freeze up", s.freeze(s.up)}, {"restart up", s.restartUp}}
	if len(s.workers) > 0 {
		processes = append(processes, fault{"kill a worker", s.killWorker}, fault{"drain a worker", s.drainWorker}, fault{"freeze a worker", s.freezeWorker})
	}
	engine := []fault{{"terminate a job", s.terminate("Job")}, {"terminate a retry", s.terminate("Retry")}, {"terminate a lane", s.terminate("Lane")}}
	for _, p := range s.proxies {
		engine = append(engine, fault{p.Name() + " away", s.away(p)})
	}
	return [][]fault{processes, engine}
}

// wreak does one fault after another: each of them once in random order, and so on until ctx ends.
func (s *system) wreak(ctx context.Context, faults []fault, r *rand.Rand) {
	for ctx.Err() == nil {
		for _, n := range r.Perm(len(faults)) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(1000+r.IntN(4500)) * time.Millisecond):
			}
			began := time.Now()
			what, err := faults[n].do(ctx, r)
			s.note(began, faults[n].name, what, err)
			if err != nil {
				return
			}
		}
	}
}

func (s *system) note(began time.Time, name, what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf("%s %s: %s (%s)", began.UTC().Format("15:04:05.000"), name, what, time.Since(began).Round(time.Millisecond))
	if err != nil {
		line += " FAILED: " + err.Error()
		s.failure = errors.Join(s.failure, fmt.Errorf("%s: %w", name, err))
	}
	s.done = append(s.done, line)
}

func (s *system) history() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.done...)
}

func (s *system) mischiefFailed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// pause waits, unless all is over.
func pause(ctx context.Context, r *rand.Rand, low, high time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(low + time.Duration(r.Int64N(int64(high-low)))):
	}
}

func (s *system) killUp(ctx context.Context, r *rand.Rand) (string, error) {
	if err := s.up.kill(); err != nil {
		return "", err
	}
	killed := time.Now()
	if r.IntN(2) == 0 {
		pause(ctx, r, 0, 6*time.Second)
	}
	err := s.up.start(context.WithoutCancel(ctx))
	return fmt.Sprintf("ready again after %s", time.Since(killed).Round(time.Millisecond)), err
}

// halt stops a process. One that can not say goodbye to a server that is away may complain about it.
func (s *system) halt(p *process) (what string, err error) {
	outages := s.outages.Load()
	err = p.stop()
	if errors.Is(err, errUnclean) && (outages%2 == 1 || s.outages.Load() != outages) {
		return "which complains of a server that is away, ", nil
	}
	return "", err
}

func (s *system) restartUp(ctx context.Context, _ *rand.Rand) (string, error) {
	complains, err := s.halt(s.up)
	if err != nil {
		return "", err
	}
	stopped := time.Now()
	err = s.up.start(context.WithoutCancel(ctx))
	return fmt.Sprintf("%sready again %s after its end", complains, time.Since(stopped).Round(time.Millisecond)), err
}

func (s *system) killWorker(ctx context.Context, r *rand.Rand) (string, error) {
	p := s.workers[r.IntN(len(s.workers))]
	if err := p.kill(); err != nil {
		return p.name, err
	}
	pause(ctx, r, 0, 6*time.Second)
	return p.name, p.start(context.WithoutCancel(ctx))
}

func (s *system) drainWorker(ctx context.Context, r *rand.Rand) (string, error) {
	p := s.workers[r.IntN(len(s.workers))]
	complains, err := s.halt(p)
	if err != nil {
		return p.name, err
	}
	pause(ctx, r, 0, 3*time.Second)
	return complains + p.name, p.start(context.WithoutCancel(ctx))
}

func (s *system) freezeWorker(ctx context.Context, r *rand.Rand) (string, error) {
	return s.freeze(s.workers[r.IntN(len(s.workers))])(ctx, r)
}

// freeze stops a process for a while, often for so long that it is taken for lost. Its programs go on.
func (s *system) freeze(p *process) func(context.Context, *rand.Rand) (string, error) {
	return func(ctx context.Context, r *rand.Rand) (string, error) {
		if err := p.signal(syscall.SIGSTOP); err != nil {
			return p.name, err
		}
		pause(ctx, r, time.Second, 10*time.Second)
		return p.name, p.signal(syscall.SIGCONT)
	}
}

// away lets a server be away for a while.
func (s *system) away(p *proxy.Proxy) func(context.Context, *rand.Rand) (string, error) {
	return func(ctx context.Context, r *rand.Rand) (string, error) {
		how := proxy.Ways[r.IntN(len(proxy.Ways))]
		s.outages.Add(1)
		defer s.outages.Add(1)
		back, err := p.Away(how)
		if err != nil {
			return how, err
		}
		pause(ctx, r, time.Second, 10*time.Second)
		return how, back()
	}
}

// terminate ends an open workflow of the type as an operator would.
func (s *system) terminate(kind string) func(context.Context, *rand.Rand) (string, error) {
	return func(ctx context.Context, r *rand.Rand) (string, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		open, err := s.workflows(ctx, fmt.Sprintf(`ExecutionStatus="Running" AND WorkflowType=%q`, kind))
		if err != nil || len(open) == 0 {
			return "none is to be found", nil // the engine may be away
		}
		id := open[r.IntN(len(open))]
		s.mu.Lock()
		s.terminated[id] = true
		s.mu.Unlock()
		err = s.temporal.TerminateWorkflow(ctx, id, "", "the fault test")
		var notFound *serviceerror.NotFound
		switch {
		case errors.As(err, &notFound):
			return id + ", which had closed", nil
		case err != nil:
			return fmt.Sprintf("%s, without an answer: %v", id, err), nil
		}
		return id, nil
	}
}

// workflows lists ids by a query, as `temporal workflow list` does.
func (s *system) workflows(ctx context.Context, query string) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 500})
	if err != nil {
		return nil, err
	}
	for _, e := range list.GetExecutions() {
		ids = append(ids, e.GetExecution().GetWorkflowId())
	}
	return ids, nil
}
