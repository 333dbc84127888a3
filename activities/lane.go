package activities

import (
	"context"
	"slices"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// AdvanceLane fills the free places of a lane with the next that wait, and tells the workflows of those that were admitted
// that they may go on. Told are those that know.
//
// There is no idempotency key, for none is needed: places are counted in the table, so a second call admits nobody beyond
// them, and finds those whom the first one admitted without telling them. A job that is told twice only notes it.
func (a *Activities) AdvanceLane(ctx context.Context, in contract.AdvanceInput) (contract.LaneStatus, error) {
	state, err := a.cfg.Lanes.AdvanceLane(ctx, job.LaneRef{AccountID: in.AccountID, Lane: in.Lane}, a.cfg.Now())
	if err != nil {
		return contract.LaneStatus{}, engineError(err)
	}
	for _, j := range state.Changed {
		a.ring(j.ID)
	}
	status := contract.LaneStatus{
		Lane: in.Lane, Places: state.Places, Active: state.Active, Waiting: len(state.Head), More: state.More, Head: state.Head,
	}
	for _, id := range state.Admitted {
		if !slices.Contains(in.Told, id) {
			err := a.cfg.LaneEngine.Admit(ctx, id)
			if job.CodeOf(err) == job.NotFound { // its submitter is about to start it, or the reconciler will
				status.Untold++
				continue
			}
			if err != nil {
				return contract.LaneStatus{}, engineError(err)
			}
		}
		status.Told = append(status.Told, id)
	}
	return status, nil
}

// PokeLane makes a lane look for the next job, unless it could do nothing: nobody waits, or all places are held. Whoever
// changes that pokes it in turn. A second poke has no more effect than the first.
func (a *Activities) PokeLane(ctx context.Context, in contract.PokeInput) error {
	l := job.LaneRef{AccountID: in.AccountID, Lane: in.Lane}
	moves, err := a.cfg.Lanes.LaneMoves(ctx, l)
	if err == nil && moves {
		err = a.cfg.LaneEngine.PokeLane(ctx, l)
	}
	return engineError(err)
}
