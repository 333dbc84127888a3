package joblog

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"waybill/internal/control"
)

// segment is a stretch of the log: size bytes from offset.
type segment struct {
	object string
	fence  int64
	offset int64
	size   int64
}

func segmentName(prefix string, fence, offset int64) string {
	return fmt.Sprintf("%s%020d-%020d", prefix, fence, offset)
}

func parseSegment(prefix string, o control.Object) (segment, bool) {
	name, found := strings.CutPrefix(o.Key, prefix)
	if !found || len(name) != 41 || name[20] != '-' {
		return segment{}, false
	}
	fence, err1 := strconv.ParseInt(name[:20], 10, 64)
	offset, err2 := strconv.ParseInt(name[21:], 10, 64)
	return segment{object: o.Key, fence: fence, offset: offset, size: o.Size}, err1 == nil && err2 == nil
}

// lister is the part of the object store both sides need.
type lister interface {
	List(ctx context.Context, prefix, after string, yield func(control.Object) bool) error
}

// list gives the segments that make up the log, in order and without overlaps. Between two of one attempt there is a gap
// where its tail was dropped.
func list(ctx context.Context, objects lister, prefix string) ([]segment, error) {
	var found []segment
	err := objects.List(ctx, prefix, "", func(o control.Object) bool {
		if s, ok := parseSegment(prefix, o); ok {
			found = append(found, s)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return settle(found), nil
}

// settle cuts what an older fence wrote beyond the beginning of a newer one, and leaves out what was put together in a
// segment before it and is not deleted yet. found is ordered by fence, then by offset.
func settle(found []segment) []segment {
	log := found[:0]
	for _, s := range found {
		if n := len(log); n > 0 && log[n-1].fence == s.fence && s.offset < log[n-1].offset+log[n-1].size {
			continue
		}
		for len(log) > 0 {
			last := &log[len(log)-1]
			if last.fence == s.fence || last.offset+last.size <= s.offset {
				break
			}
			if last.offset >= s.offset {
				log = log[:len(log)-1]
				continue
			}
			last.size = s.offset - last.offset
			break
		}
		log = append(log, s)
	}
	return log
}

// end is the size of the log.
func end(log []segment) int64 {
	if len(log) == 0 {
		return 0
	}
	last := log[len(log)-1]
	return last.offset + last.size
}
