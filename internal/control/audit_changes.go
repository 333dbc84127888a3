package control

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"waybill/internal/job"
)

// What an audit entry says of secrets: that they are there and that they changed, never what they are.
const (
	auditSet     = "(set)"
	auditChanged = "(changed)"
)

func decimal(id int64) string { return strconv.FormatInt(id, 10) }

func decimals(ids []int64) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = decimal(id)
	}
	return list
}

func yesNo(b bool) string { return strconv.FormatBool(b) }

// maxAuditValue bounds a value in an entry, in characters.
const maxAuditValue = 200

func joined(list []string) string { return shortTo(strings.Join(list, ", "), maxAuditValue) }

func shortTo(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "..."
	}
	return s
}

// fileID names a file: its owner and its key.
func fileID(e fileEntity, key string) string {
	return strings.ToLower(string(e.Type)) + "/" + decimal(e.ID) + "/" + key
}

// differences collects what differs.
type differences []job.AuditChange

func (d *differences) add(field, before, after string) {
	if before != after {
		*d = append(*d, job.AuditChange{Field: field, Before: shortTo(before, maxAuditValue), After: shortTo(after, maxAuditValue)})
	}
}

func idOrNone(id int64) string {
	if id == 0 {
		return ""
	}
	return decimal(id)
}

func retentionText(r job.Retention) string {
	if r == (job.Retention{}) {
		return ""
	}
	return fmt.Sprintf("age %s, count %d", r.MaxAge, r.MaxCount)
}

// configChanges lists what of a config bears on who may do what, where it runs, with which secrets, and who is told.
func configChanges(before, after job.Config) []job.AuditChange {
	var d differences
	d.add("name", before.Name, after.Name)
	if before.ID != 0 {
		d.add("active", yesNo(before.Active), yesNo(after.Active))
	} else {
		d.add("active", "", yesNo(after.Active))
	}
	d.add("owner", before.Owner.Name, after.Owner.Name)
	d.add("destination", idOrNone(before.Destination), idOrNone(after.Destination))
	d.add("packageName", before.Runtime.PackageName, after.Runtime.PackageName)
	d.add("packageVersion", idOrNone(int64(before.Runtime.PackageVersion)), idOrNone(int64(after.Runtime.PackageVersion)))
	d.add("entryPoint", before.Runtime.EntryPoint, after.Runtime.EntryPoint)
	d.add("retention", retentionText(before.Rules.Retention), retentionText(after.Rules.Retention))
	d.add("resources", resourcesText(before.Rules.Resources), resourcesText(after.Rules.Resources))
	d.macros(before.Runtime.Macros, after.Runtime.Macros)
	d.callbacks(before.Rules.Callbacks, after.Rules.Callbacks)
	return d
}

func resourcesText(r job.Resources) string {
	if r == (job.Resources{}) {
		return ""
	}
	return fmt.Sprintf("%+v", r)
}

func (d *differences) macros(before, after []job.Macro) {
	find := func(list []job.Macro, key string) (job.Macro, bool) {
		i := slices.IndexFunc(list, func(m job.Macro) bool { return m.Key == key })
		if i < 0 {
			return job.Macro{}, false
		}
		return list[i], true
	}
	for _, m := range before {
		if _, there := find(after, m.Key); !there {
			d.add("macros."+m.Key, auditSet, "")
		}
	}
	for _, m := range after {
		was, there := find(before, m.Key)
		switch {
		case !there:
			d.add("macros."+m.Key, "", auditSet)
		case was.Value != m.Value || was.Sealed != m.Sealed || was.Secure != m.Secure:
			d.add("macros."+m.Key, auditSet, auditChanged)
		}
	}
}

func (d *differences) callbacks(before, after []job.Callback) {
	text := func(list []job.Callback) string {
		var urls []string
		for _, c := range list {
			urls = append(urls, plainURL(c.URL))
		}
		return strings.Join(urls, ", ")
	}
	d.add("callbacks", text(before), text(after))
	for _, c := range after {
		i := slices.IndexFunc(before, func(b job.Callback) bool { return b.URL == c.URL })
		switch {
		case i < 0 && c.Sealed != "":
			d.add("callbacks.secret", "", auditSet)
		case i >= 0 && before[i].Sealed != c.Sealed:
			d.add("callbacks.secret", auditSet, auditChanged)
		}
	}
}

// plainURL is an address without what may be secret in it.
func plainURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(not a URL)"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func accountChanges(before, after job.Account) []job.AuditChange {
	var d differences
	d.add("maxTimeout", before.MaxTimeout.String(), after.MaxTimeout.String())
	d.add("retention", retentionText(before.Retention), retentionText(after.Retention))
	d.add("allowedUserDomains", strings.Join(before.UserDomains, ", "), strings.Join(after.UserDomains, ", "))
	return d
}

func scheduleChanges(before, after job.Schedule) []job.AuditChange {
	when := func(s job.Schedule) string {
		return strings.TrimSpace(s.Rule.Cron + s.Rule.Interval + " " + s.Rule.Zone)
	}
	hook := func(s job.Schedule) string {
		if s.Rule.Webhook == nil {
			return ""
		}
		return plainURL(s.Rule.Webhook.Endpoint)
	}
	var d differences
	d.add("when", when(before), when(after))
	d.add("paused", yesNo(before.Paused), yesNo(after.Paused))
	d.add("webhook", hook(before), hook(after))
	if b, a := before.Rule.Webhook, after.Rule.Webhook; b != nil && a != nil && b.Sealed != a.Sealed {
		d.add("webhook.headers", auditSet, auditChanged)
	}
	return d
}

// noteDefault notes which destination is the default and which will be.
func (s *Destinations) noteDefault(ctx context.Context, a job.Actor, id int64) error {
	trail := TrailOf(ctx)
	if trail == nil {
		return nil
	}
	account, err := s.Users.Account(ctx, a.AccountID)
	if err != nil {
		return err
	}
	var d differences
	d.add("destination", idOrNone(account.Destination), idOrNone(id))
	trail.Changed(d)
	return nil
}

// noteUpdate notes what of a destination changes.
func (s *Destinations) noteUpdate(ctx context.Context, d job.Destination) error {
	trail := TrailOf(ctx)
	if trail == nil {
		return nil
	}
	before, err := s.Users.Destination(ctx, d.AccountID, d.ID)
	if err != nil {
		return err
	}
	var diff differences
	diff.add("name", before.Name, d.Name)
	diff.add("description", before.Description, d.Description)
	trail.Changed(diff)
	return nil
}

// note notes what of a config's subscription changes; after is nil for its end.
func (s *Subscriptions) note(ctx context.Context, account, config int64, after *job.Subscription) error {
	trail := TrailOf(ctx)
	if trail == nil {
		return nil
	}
	trail.About("subscription", decimal(config))
	var is *job.Subscription
	switch before, err := s.Store.Subscription(ctx, account, config); {
	case err == nil:
		is = &before
	case job.CodeOf(err) != job.NotFound:
		return err
	}
	var d differences
	of := func(text func(s *job.Subscription) string) (string, string) {
		var was, will string
		if is != nil {
			was = text(is)
		}
		if after != nil {
			will = text(after)
		}
		return was, will
	}
	for _, f := range []struct {
		field string
		text  func(s *job.Subscription) string
	}{
		{"recipients", func(s *job.Subscription) string { return joined(s.Recipients) }},
		{"events", func(s *job.Subscription) string { return string(s.Events) }},
		{"active", func(s *job.Subscription) string { return yesNo(s.Active) }},
		{"attachLog", func(s *job.Subscription) string { return yesNo(s.AttachLog) }},
	} {
		was, will := of(f.text)
		d.add(f.field, was, will)
	}
	trail.Changed(d)
	return nil
}
