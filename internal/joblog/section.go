package joblog

import (
	"context"
	"fmt"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Sections gives the bytes that each attempt has in the log, by fence; an attempt that wrote nothing is not in it. It costs
// one listing, however many attempts there are.
func (r Reader) Sections(ctx context.Context, account int64, id job.ID) (map[int64]int64, error) {
	log, err := list(ctx, r.Objects, job.LogPrefix(account, id))
	if err != nil {
		return nil, err
	}
	sizes := map[int64]int64{}
	for _, s := range log {
		sizes[s.fence] += s.size
	}
	return sizes, nil
}

// section lists the segments of one fence alone: their names begin with it, and the next name there is tells where a newer
// attempt cut them off.
func section(ctx context.Context, objects lister, prefix string, fence int64) ([]segment, error) {
	own := fmt.Sprintf("%s%020d-", prefix, fence)
	var found []segment
	err := objects.List(ctx, own, "", func(o control.Object) bool {
		if s, ok := parseSegment(prefix, o); ok {
			found = append(found, s)
		}
		return true
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	behind := found[len(found)-1].object
	err = objects.List(ctx, prefix, behind, func(o control.Object) bool {
		s, ok := parseSegment(prefix, o)
		if ok && s.fence != fence {
			found = append(found, s)
		}
		return !ok || s.fence == fence // a segment stored since belongs to this attempt, but not to this answer
	})
	if err != nil {
		return nil, err
	}
	log := settle(found)
	for len(log) > 0 && log[len(log)-1].fence != fence {
		log = log[:len(log)-1]
	}
	return log, nil
}
