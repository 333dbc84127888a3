package app

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"waybill/activities"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/secret"
	"waybill/internal/webhook/guard"
	"waybill/storage/sqlstore"
	"waybill/workflows/starter"
)

var (
	_ control.ScheduleStore   = (*sqlstore.Store)(nil)
	_ control.FireStore       = (*sqlstore.Store)(nil)
	_ control.ScheduleBacklog = (*sqlstore.Store)(nil)
	_ activities.Fires        = (*control.Fires)(nil)
	_ activities.Webhooks     = (*control.ScheduleWebhooks)(nil)
)

// newJobs makes the use cases that accept jobs: for the doors, and for the fires of schedules, which any worker process takes up.
func (p *parts) newJobs(box secret.Box, start *starter.Starter) (*control.Configs, *control.Jobs) {
	configs := &control.Configs{Reader: p.store, Writer: p.store, Destinations: p.store, Sealer: box, Targets: p.guard(), Now: time.Now, NewID: newID}
	return configs, &control.Jobs{
		Reader: p.store, Writer: p.store, Configs: configs, Files: p.store, Users: p.store, Objects: p.objects, Starter: start, Lanes: start,
		Records: p.store, Mending: p.store, Logs: joblog.Reader{Objects: p.objects}, Sealer: box, Bell: p.bell, Limits: p.limits(), Now: time.Now,
		NewID: func() job.ID { return job.ID(newID()) }, Log: p.log, DigestKey: p.keys.Derive("idempotency"),
	}
}

func (p *parts) guard() guard.Guard {
	return guard.Guard{AllowPrivate: p.settings.CallbacksAllowPrivate}
}

func (p *parts) newSchedules(configs *control.Configs, box secret.Box) *control.Schedules {
	s := &control.Schedules{
		Configs: configs, Store: p.store, Fires: p.store, Backlog: p.store, Engine: starter.NewSchedules(p.temporal.ScheduleClient(), starter.Config{}),
		Sealer: box, Now: time.Now, Log: p.log, SubMinute: p.settings.SubMinuteSchedules, CheckURL: p.guard().CheckURL,
	}
	configs.Forget = s.Forget
	return s
}

// addFires gives the activities what fires of schedules need.
func (p *parts) addFires(c *activities.Config, box secret.Box, start *starter.Starter) {
	configs, jobs := p.newJobs(box, start)
	c.Jobs = p.store
	c.Fires = &control.Fires{Schedules: p.store, Store: p.store, Configs: configs.Reader, Users: p.store, Jobs: jobs, Now: time.Now, Log: p.log}
	c.Webhooks = &control.ScheduleWebhooks{Schedules: p.store, Fires: p.store, Secrets: box, Send: p.newSender(), Now: time.Now}
}

// webhookTime bounds a call of a webhook, its answer included.
const webhookTime = 10 * time.Second

var errNotPublic = errors.New("the address is not a public one")

// newSender makes calls to addresses that users named, as far as the settings allow. It follows no redirect and uses no proxy: either would
// lead past the guard.
func (p *parts) newSender() control.WebhookSender {
	dialer := &net.Dialer{Timeout: webhookTime, ControlContext: func(ctx context.Context, network, address string, c syscall.RawConn) error {
		if p.guard().Control(ctx, network, address, c) != nil {
			return errNotPublic
		}
		return nil
	}}
	client := &http.Client{
		Timeout:       webhookTime,
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxResponseHeaderBytes: 32 << 10, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, r control.WebhookRequest) (int, string, bool) {
		request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(r.Body))
		if err != nil {
			return 0, "The address can not be called", true
		}
		request.Header.Set("User-Agent", "Waybill/"+Version())
		for name, value := range r.Headers {
			request.Header.Set(name, value)
		}
		answer, err := client.Do(request)
		switch {
		case errors.Is(err, errNotPublic):
			return 0, "The address is not a public one (setting callbacks-allow-private)", true
		case err != nil: // the cause names addresses, which are for nobody outside
			return 0, "There was no answer", false
		}
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // a status is an answer, also when the rest is broken
		_ = answer.Body.Close()
		return answer.StatusCode, strings.ToValidUTF8(string(text), "?"), false
	}
}
