package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Who waits in a lane and who holds a place in it: the conditions of the indexes jobs_lane_waiting and jobs_lane_places,
// word for word, or the engines do not see that the indexes fit.
const (
	inLane    = "lane <> '' AND account_id = ? AND lane = ?"
	waits     = "lane <> '' AND status = 'queued' AND reason = 'sequenced'"
	hasPlace  = "lane <> '' AND status IN ('queued', 'running', 'cancelling') AND NOT (status = 'queued' AND reason = 'sequenced')"
	sequenced = string(job.ReasonSequenced)
)

// enterLane gives j a place in its lane or a number in its queue. At the limit of a lane that does not queue it returns the
// job that is answered instead, or the conflict. The lane's row is held until the transaction ends, so of two submissions
// at once the second sees the first.
func (s *Store) enterLane(tx *gorm.DB, j *job.Job) (instead job.ID, err error) {
	c := j.Spec.Concurrency
	places := "excluded.places"
	if j.RetryOf != "" {
		// A retry carries the limit of its parent's time. The lane has perhaps got another one since.
		places, c.OnLimit = "lanes.places", job.OnLimitQueue
	}
	lane, _, err := one[laneRow](tx, `
		INSERT INTO lanes (account_id, lane, places, last_seq) VALUES (?, ?, ?, 0)
		ON CONFLICT (account_id, lane) DO UPDATE SET places = `+places+`
		RETURNING places, last_seq`, j.AccountID, j.Lane, max(1, c.Limit))
	if err != nil {
		return "", err
	}
	first, queue, err := s.firstWaiting(tx, j.AccountID, j.Lane)
	if err != nil {
		return "", err
	}
	if !queue {
		held, err := placesHeld(tx, j.AccountID, j.Lane)
		if err != nil || held < lane.Places {
			return "", err
		}
	}
	switch c.OnLimit {
	case job.OnLimitFail:
		return "", job.Errorf(job.Conflict, job.WordConcurrencyLimit, "There are as many jobs of this key as may run at once (%d)", lane.Places)
	case job.OnLimitSkip:
		return oldestOf(tx, j.AccountID, j.Lane, first)
	}
	j.Reason, j.LaneSeq = job.ReasonSequenced, lane.LastSeq+1
	_, err = run(tx, "UPDATE lanes SET last_seq = ? WHERE account_id = ? AND lane = ?", j.LaneSeq, j.AccountID, j.Lane)
	return "", err
}

// laneRow is what is read of lanes.
type laneRow struct {
	Places  int
	LastSeq int64
}

func (s *Store) firstWaiting(tx *gorm.DB, account int64, lane string) (job.ID, bool, error) {
	id, found, err := one[string](tx, "SELECT id FROM jobs WHERE "+waits+" AND account_id = ? AND lane = ? ORDER BY lane_seq LIMIT 1",
		account, lane)
	return job.ID(id), found, err
}

func placesHeld(tx *gorm.DB, account int64, lane string) (int, error) {
	held, _, err := one[int](tx, "SELECT count(*) FROM jobs WHERE "+hasPlace+" AND account_id = ? AND lane = ?", account, lane)
	return held, err
}

// oldestOf is the job that stands for a start that was skipped: the oldest that holds a place, else the first that waits.
func oldestOf(tx *gorm.DB, account int64, lane string, first job.ID) (job.ID, error) {
	id, found, err := one[string](tx, "SELECT id FROM jobs WHERE "+hasPlace+" AND account_id = ? AND lane = ? ORDER BY id LIMIT 1",
		account, lane)
	if err != nil || !found {
		return first, err
	}
	return job.ID(id), nil
}

// AdvanceLane is control.LaneStore's.
func (s *Store) AdvanceLane(ctx context.Context, l job.LaneRef, at time.Time) (state job.LaneState, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		state = job.LaneState{}
		lane, found, err := one[laneRow](tx, "SELECT places, last_seq FROM lanes WHERE account_id = ? AND lane = ?"+s.forUpdate(),
			l.AccountID, l.Lane)
		if err != nil || !found { // a lane without a row has no unfinished job
			return err
		}
		state.Places = lane.Places
		if state.Active, err = placesHeld(tx, l.AccountID, l.Lane); err != nil {
			return err
		}
		if free := state.Places - state.Active; free > 0 {
			if state.Changed, err = admit(tx, l, free, at); err != nil {
				return err
			}
			state.Active += len(state.Changed)
		}
		return laneIDs(tx, l, &state)
	})
	return state, err
}

// admit gives the next jobs of a lane their places. A job that is cancelled at the same time may be passed over; its end
// makes the lane advance again.
func admit(tx *gorm.DB, l job.LaneRef, free int, at time.Time) ([]job.Job, error) {
	rows, err := many[jobRow](tx, `
		UPDATE jobs SET reason = '', change = change + 1, written_at = ?
		WHERE `+waits+` AND id IN (
			SELECT id FROM jobs WHERE `+waits+` AND account_id = ? AND lane = ? ORDER BY lane_seq LIMIT ?)
		RETURNING `+jobColumns, micros(at), l.AccountID, l.Lane, free)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if err := note(tx, row); err != nil {
			return nil, err
		}
	}
	return all(rows, jobRow.job)
}

func laneIDs(tx *gorm.DB, l job.LaneRef, state *job.LaneState) error {
	head, err := many[job.ID](tx, "SELECT id FROM jobs WHERE "+waits+" AND account_id = ? AND lane = ? ORDER BY lane_seq LIMIT ?",
		l.AccountID, l.Lane, job.LaneHead+1)
	if err != nil {
		return err
	}
	state.More = len(head) > job.LaneHead
	state.Head = head[:min(len(head), job.LaneHead)]
	state.Admitted, err = many[job.ID](tx, "SELECT id FROM jobs WHERE "+hasPlace+` AND account_id = ? AND lane = ?
		AND lane_seq > 0 AND status = 'queued' AND attempt = 0 ORDER BY lane_seq`, l.AccountID, l.Lane)
	return err
}

// LaneMoves is control.LaneStore's.
func (s *Store) LaneMoves(ctx context.Context, l job.LaneRef) (bool, error) {
	tx := s.read.WithContext(ctx)
	lane, found, err := one[laneRow](tx, "SELECT places, last_seq FROM lanes WHERE account_id = ? AND lane = ?", l.AccountID, l.Lane)
	if err != nil || !found {
		return false, s.fault(ctx, err)
	}
	_, queue, err := s.firstWaiting(tx, l.AccountID, l.Lane)
	if err != nil || !queue {
		return false, s.fault(ctx, err)
	}
	held, err := placesHeld(tx, l.AccountID, l.Lane)
	return held < lane.Places, s.fault(ctx, err)
}

// AdmittedIdle is control.AdmittedJobs'.
func (s *Store) AdmittedIdle(ctx context.Context, before time.Time, after job.ID, limit int) ([]job.ID, error) {
	ids, err := many[job.ID](s.read.WithContext(ctx), "SELECT id FROM jobs WHERE "+hasPlace+`
		AND lane_seq > 0 AND status = 'queued' AND attempt = 0 AND written_at < ? AND id > ? ORDER BY id LIMIT ?`,
		micros(before), string(after), limit)
	return ids, s.fault(ctx, err)
}

// waitingLane is what is read of a lane in which jobs wait.
type waitingLane struct {
	AccountID int64
	Lane      string
	Free      bool
}

// LanesWaiting is control.LaneStore's.
func (s *Store) LanesWaiting(ctx context.Context, after job.LaneRef, limit int) ([]job.Lane, error) {
	rows, err := many[waitingLane](s.read.WithContext(ctx), `
		SELECT w.account_id, w.lane, coalesce(l.places, 1) > (
			SELECT count(*) FROM jobs WHERE `+hasPlace+` AND account_id = w.account_id AND lane = w.lane)
		FROM (SELECT DISTINCT account_id, lane FROM jobs WHERE `+waits+` AND (account_id, lane) > (?, ?)
			ORDER BY account_id, lane LIMIT ?) AS w
		LEFT JOIN lanes AS l ON l.account_id = w.account_id AND l.lane = w.lane
		ORDER BY w.account_id, w.lane`, after.AccountID, after.Lane, limit)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	lanes := make([]job.Lane, 0, len(rows))
	for _, r := range rows {
		lanes = append(lanes, job.Lane{LaneRef: job.LaneRef{AccountID: r.AccountID, Lane: r.Lane}, Free: r.Free})
	}
	return lanes, nil
}

// PurgeLanes is control.LaneStore's. Each lane is locked before it is looked at again, so that one which a job enters
// meanwhile stays.
func (s *Store) PurgeLanes(ctx context.Context, limit int) (int, error) {
	idle, err := many[waitingLane](s.read.WithContext(ctx), `
		SELECT account_id, lane, true FROM lanes WHERE NOT EXISTS (
			SELECT 1 FROM jobs WHERE lane <> '' AND `+unfinished+` AND account_id = lanes.account_id AND lane = lanes.lane)
		LIMIT ?`, limit)
	if err != nil {
		return 0, s.fault(ctx, err)
	}
	purged := 0
	for _, l := range idle {
		var deleted int64
		err := s.transact(ctx, func(tx *gorm.DB) error {
			deleted = 0
			if _, _, err := one[int](tx, "SELECT places FROM lanes WHERE account_id = ? AND lane = ?"+s.forUpdate(), l.AccountID, l.Lane); err != nil {
				return err
			}
			_, busy, err := one[string](tx, "SELECT id FROM jobs WHERE "+inLane+" AND "+unfinished+" LIMIT 1", l.AccountID, l.Lane)
			if err != nil || busy {
				return err
			}
			deleted, err = run(tx, "DELETE FROM lanes WHERE account_id = ? AND lane = ?", l.AccountID, l.Lane)
			return err
		})
		if err != nil {
			return purged, err
		}
		purged += int(deleted)
	}
	return purged, nil
}

// position counts where a job stands that waits in a lane; 0 for any other.
func (s *Store) position(tx *gorm.DB, j job.Job) (int, error) {
	if j.Lane == "" || !j.Waiting() {
		return 0, nil
	}
	n, _, err := one[int](tx, "SELECT count(*) FROM jobs WHERE "+waits+" AND account_id = ? AND lane = ? AND lane_seq <= ?",
		j.AccountID, j.Lane, j.LaneSeq)
	return n, err
}

var (
	_ control.LaneStore    = (*Store)(nil)
	_ control.AdmittedJobs = (*Store)(nil)
)
