package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/engine"
	"waybill/internal/job"
)

// payloadsMark is the name of the mark that says that payloads were ever sealed.
const payloadsMark = "payloads-sealed"

// markSealing remembers that histories hold what the sealing keys open.
func (p *parts) markSealing(ctx context.Context) error {
	if !p.settings.Temporal.Seals() {
		return nil
	}
	_, err := p.store.KeepMark(ctx, payloadsMark, "yes")
	return err
}

// histories connects to the Temporal of the settings, or to the one that runs on the data folder. It is nil where payloads were never
// sealed. Close its client.
func (k *Keyring) histories(ctx context.Context) (*engine.Histories, error) {
	if mark, err := k.store.Mark(ctx, payloadsMark); err != nil || mark == "" && !k.settings.Temporal.Seals() {
		return nil, err
	}
	o := k.externalEngine()
	if o.Address == "" {
		run, err := datafolder.ReadRun(k.settings.Data)
		if err != nil {
			return nil, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "Waybill does not run on the data folder")
		}
		if o, err = k.folderEngine(run); err != nil {
			return nil, err
		}
	}
	o = k.sealing(o)
	c, err := engine.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	return &engine.Histories{Client: c, Namespace: o.Namespace, Codec: o.Codec}, nil
}

// ResealSchedules seals with the newest key what schedules start workflows with. What workflows hold that run is sealed with the key it was
// sealed with until they end.
func (k *Keyring) ResealSchedules(ctx context.Context) (int, error) {
	h, err := k.histories(ctx)
	if h == nil || err != nil {
		return 0, err
	}
	defer h.Client.Close()
	return h.ResealSchedules(ctx)
}

// Drop deletes a sealing key for good, as control.Keyring's does, and refuses it while workflows that run, or schedules, may need it,
// unless forced: they would stand still for ever.
func (k *Keyring) Drop(ctx context.Context, id string, force bool) error {
	if !force {
		if err := k.checkHistories(ctx, id); err != nil {
			return err
		}
	}
	return k.Keyring.Drop(ctx, id, force)
}

func (k *Keyring) checkHistories(ctx context.Context, id string) error {
	uses, err := k.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(uses, func(u control.KeyUse) bool { return u.ID == id })
	if i < 0 || uses[i].Retired.IsZero() {
		return nil // the keyring refuses it with better words
	}
	h, err := k.histories(ctx)
	if h == nil && err == nil {
		return nil
	}
	if err != nil {
		return job.Wrap(err, job.Conflict, job.WordStale, "Whether workflows need key %s can not be told: Temporal (%s) does not answer. Try again when it does, or force it", id, settings.Name("temporal"))
	}
	defer h.Client.Close()
	open, err := h.OpenSince(ctx, uses[i].Retired.Add(3*control.KeyRefresh))
	if err != nil {
		return fmt.Errorf("the open workflows can not be counted: %w", err)
	}
	schedules, err := h.SchedulesOf(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("the schedules can not be looked at: %w", err)
	case schedules > 0:
		return job.Errorf(job.Conflict, job.WordStale, "Key %s still seals what %d schedules start workflows with; reseal them first", id, schedules)
	case open > 0:
		return job.Errorf(job.Conflict, job.WordStale,
			"%d workflows that began before %s are open and may need key %s; try again when they have ended (temporal workflow list --query \"ExecutionStatus='Running'\")",
			open, uses[i].Retired.Add(3*control.KeyRefresh).UTC().Format(time.RFC3339), id)
	}
	return nil
}
