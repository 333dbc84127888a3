package control

import (
	"context"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/job"
)

// SubscriptionStore keeps who gets mail about a config's jobs.
type SubscriptionStore interface {
	Subscription(ctx context.Context, account, config int64) (job.Subscription, error)
	// PutSubscription makes or replaces the config's subscription; who made it first stays.
	PutSubscription(ctx context.Context, sub job.Subscription) (job.Subscription, error)
	DeleteSubscription(ctx context.Context, account, config int64) error
}

// Subscriptions is what can be done with subscriptions. Who may see a config may see its subscription.
type Subscriptions struct {
	Store   SubscriptionStore
	Configs *Configs
	Now     Clock
}

// SubscriptionInput is a subscription as a caller gives it.
type SubscriptionInput struct {
	Inactive   bool
	Recipients []string
	Events     job.SubscriptionEvents // empty: failure
	AttachLog  bool
}

// Limits of a subscription. The length of all recipients is bounded because an index holds them.
const (
	maxRecipients     = 50
	maxRecipientBytes = 1900
	maxAddress        = 254 // RFC 5321, 4.5.3.1.3
)

// Get finds the subscription of a config, with the config.
func (s *Subscriptions) Get(ctx context.Context, a job.Actor, config string) (job.Subscription, job.Config, error) {
	c, err := s.Configs.Get(ctx, a, config)
	if err != nil {
		return job.Subscription{}, c, err
	}
	sub, err := s.Store.Subscription(ctx, a.AccountID, c.ID)
	return sub, c, err
}

// Put makes or replaces the subscription of a config.
func (s *Subscriptions) Put(
	ctx context.Context, a job.Actor, config string, in SubscriptionInput,
) (job.Subscription, job.Config, error) {
	c, err := s.Configs.For(ctx, a, config, job.Edit)
	if err != nil {
		return job.Subscription{}, c, err
	}
	sub := job.Subscription{
		ConfigID: c.ID, AccountID: a.AccountID, Active: !in.Inactive, Events: in.Events, AttachLog: in.AttachLog,
		ModifiedAt: s.Now().UTC().Truncate(time.Microsecond), ModifiedBy: a.User,
	}
	switch in.Events {
	case "":
		sub.Events = job.OnFailure
	case job.OnSuccess, job.OnFailure, job.OnAlways:
	default:
		return sub, c, invalidField("events is success, failure or always")
	}
	if sub.Recipients, err = cleanRecipients(in.Recipients); err != nil {
		return sub, c, err
	}
	if err := s.note(ctx, a.AccountID, c.ID, &sub); err != nil {
		return sub, c, err
	}
	sub, err = s.Store.PutSubscription(ctx, sub)
	return sub, c, err
}

// Delete ends the subscription of a config.
func (s *Subscriptions) Delete(ctx context.Context, a job.Actor, config string) error {
	c, err := s.Configs.For(ctx, a, config, job.Edit)
	if err != nil {
		return err
	}
	if err := s.note(ctx, a.AccountID, c.ID, nil); err != nil {
		return err
	}
	return s.Store.DeleteSubscription(ctx, a.AccountID, c.ID)
}

// cleanRecipients takes plain addresses only: no names, no lists, no line breaks, so that a header can hold nothing but
// what it is for.
func cleanRecipients(in []string) ([]string, error) {
	if len(in) == 0 {
		return nil, job.Errorf(job.Invalid, job.WordMissingField, "recipients is required")
	}
	if len(in) > maxRecipients {
		return nil, invalidField("recipients has more than %d addresses", maxRecipients)
	}
	var out []string
	seen := map[string]bool{}
	total := 0
	for _, text := range in {
		text = strings.TrimSpace(text)
		parsed, err := mail.ParseAddress(text)
		if err != nil || parsed.Address != text || parsed.Name != "" || len(text) > maxAddress || !utf8.ValidString(text) ||
			strings.ContainsAny(text, " ,;<>\"\r\n\t") {
			return nil, invalidField("recipients: '%s' is not an e-mail address", short(text))
		}
		if seen[strings.ToLower(text)] {
			continue
		}
		seen[strings.ToLower(text)] = true
		total += len(text) + 2
		out = append(out, text)
	}
	if total > maxRecipientBytes {
		return nil, invalidField("recipients has more than %d bytes", maxRecipientBytes)
	}
	return out, nil
}
