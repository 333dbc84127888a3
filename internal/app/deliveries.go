package app

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/activities"
	"waybill/api/informatica"
	"waybill/api/native"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/mail"
	"waybill/internal/secret"
	"waybill/internal/webhook"
	"waybill/storage/sqlstore"
	"waybill/workflows/starter"
)

var (
	_ control.DeliveryStore     = (*sqlstore.Store)(nil)
	_ control.DeliveryRun       = (*sqlstore.Store)(nil)
	_ control.Outbox            = (*sqlstore.Store)(nil)
	_ control.SubscriptionStore = (*sqlstore.Store)(nil)
	_ control.DeliveryEngine    = (*starter.Starter)(nil)
	_ control.Webhooks          = (*control.Deliveries)(nil)
)

// deliverer starts deliveries, as duties of the reconciler. What is not about a job is kept as long as events are.
func (p *parts) deliverer(start *starter.Starter) *control.Deliverer {
	return &control.Deliverer{Outbox: p.store, Engine: start, Keep: p.settings.EventRetention, Now: p.now, Log: p.log}
}

// newWebhooks makes what other parts of the product have addresses called with.
func (p *parts) newWebhooks() control.Webhooks {
	return &control.Deliveries{Store: p.store, Targets: p.guard(), Now: p.now, NewID: newID}
}

// newDeliveries makes the activities that tell those outside. Every process that serves the system's queues has them.
func (p *parts) newDeliveries(box secret.Box) (*activities.Deliveries, error) {
	c := activities.DeliverConfig{
		Run: p.store, Jobs: p.store, Logs: joblog.Reader{Objects: p.objects}, Secrets: box,
		Calls:  webhook.New(webhook.Config{Guard: p.guard(), UserAgent: "Waybill/" + Version()}),
		Render: native.Renderer(p.url, p.settings.Dates == "rfc3339", p.now),
		Doors:  map[string]activities.DoorCall{informatica.Name: informatica.Caller(p.store)},
		Link:   func(id job.ID) string { return strings.TrimRight(p.url(), "/") + "/api/jobs/" + string(id) },
		Now:    p.now, Log: p.log, Observe: observeDeliveries(p.metrics), Tracer: p.traces.Tracer(),
	}
	if s := p.settings.SMTP; s.Host != "" {
		mailer, err := mail.New(mail.Config{
			Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, From: s.From, Encryption: mail.Encryption(s.TLS),
		})
		if err != nil {
			return nil, err
		}
		c.Mail = mailer
	}
	return activities.NewDeliveries(c), nil
}

func observeDeliveries(registry prometheus.Registerer) func(job.DeliveryKind, string) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_delivery_attempts_total", Help: "Attempts of deliveries made by this process, by kind and outcome.",
	}, []string{"kind", "outcome"})
	registry.MustRegister(attempts)
	deliveredFrom(attempts)
	return func(kind job.DeliveryKind, outcome string) { attempts.WithLabelValues(string(kind), outcome).Inc() }
}
