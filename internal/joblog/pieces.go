package joblog

import (
	"fmt"
	"sync"
	"time"
)

const (
	// mergeAfter is how many small segments in a row are put together while a job runs, and worthMerging how many when
	// there is another reason to look: fewer are not worth a call more.
	mergeAfter   = 60
	worthMerging = 8
)

// piece is a segment that was stored.
type piece struct{ offset, size int64 }

// pieces is what a Writer has stored and may still touch: the small segments at the end, which become one, and the tail,
// whose beginning is dropped as it grows.
type pieces struct {
	run     []piece // small segments in a row
	text    []byte  // theirs, flushBytes at most
	inTail  bool    // they belong to the tail
	tail    []piece // what is kept of it besides the run, oldest first
	keep    int64   // bytes that are kept at least
	kept    int64   // bytes in it
	dropped int64   // bytes
	marker  piece   // stands where the first segment was that is not kept any more
	sweeps  sync.WaitGroup
}

// add takes notice of a segment that was stored.
func (p *pieces) add(w *Writer, batch []byte, offset int64, inTail bool) {
	if len(p.text)+len(batch) > flushBytes || inTail != p.inTail {
		p.endRun(w)
	}
	p.inTail = inTail
	p.run = append(p.run, piece{offset, int64(len(batch))})
	if len(batch) >= flushBytes { // no room for another one
		p.endRun(w)
	} else if p.text = append(p.text, batch...); len(p.run) >= mergeAfter {
		p.merge(w)
	}
	p.drop(w)
}

// endRun leaves the small segments as they are, put together if they are many.
func (p *pieces) endRun(w *Writer) {
	if len(p.run) >= worthMerging {
		p.merge(w)
	}
	if p.inTail {
		p.tail = append(p.tail, p.run...)
		for _, s := range p.run {
			p.kept += s.size
		}
	}
	p.run, p.text = nil, p.text[:0]
}

// merge makes one segment of the run: the first one, made longer. The others lie within it until they are gone, which
// readers know. When the store does not take it, all stay.
func (p *pieces) merge(w *Writer) {
	if err := w.send(p.text, p.run[0].offset); err != nil {
		return
	}
	p.sweep(w, p.run[1:])
	p.run = []piece{{p.run[0].offset, int64(len(p.text))}}
}

// sweep deletes segments that are of no use any more, beside the upload: nobody waits for it. What is left by a store that
// is away, or by a worker that is killed, goes with the job.
func (p *pieces) sweep(w *Writer, old []piece) {
	names := make([]string, 0, len(old))
	for _, s := range old {
		names = append(names, segmentName(w.prefix, w.fence, s.offset))
	}
	p.sweeps.Go(func() {
		for _, name := range names {
			if w.objects.Delete(w.ctx, name) != nil {
				return
			}
		}
	})
}

// drop lets the beginning of the tail go that is over what is kept. The first segment that goes is not deleted: a line that
// says so takes its place.
func (p *pieces) drop(w *Writer) {
	n := 0
	for n < len(p.tail) && p.kept+int64(len(p.text))-p.tail[n].size >= p.keep {
		p.kept -= p.tail[n].size
		p.dropped += p.tail[n].size
		n++
	}
	if n == 0 {
		return
	}
	old := p.tail[:n]
	p.tail = p.tail[n:]
	if p.marker.size == 0 {
		p.marker.offset = old[0].offset
		old = old[1:]
		if p.mark(w) != nil {
			return // the segments are still there; none is deleted before the line stands
		}
	}
	p.sweep(w, old)
}

// mark writes the line that stands for what is not kept. Its length never changes.
func (p *pieces) mark(w *Writer) error {
	line := fmt.Appendf(nil, "%swaybill: %15d bytes of the log are not kept here: it is over its limit\n", time.Now().UTC().Format(stamp), p.dropped)
	p.marker.size = int64(len(line))
	return w.send(line, p.marker.offset)
}

// close leaves few segments and the right number in the line about what is not kept.
func (p *pieces) close(w *Writer) {
	if w.ctx.Err() == nil {
		p.endRun(w)
		p.drop(w)
		if p.marker.size > 0 {
			_ = p.mark(w) // the line says less than was dropped, then
		}
	}
	p.sweeps.Wait()
}
