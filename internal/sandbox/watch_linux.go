package sandbox

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// firstLook is when a program is looked at first: most are over by then.
	firstLook = 50 * time.Millisecond
	// quickLook and slowLook bound the pause between two looks: the nearer a program is to a limit, the shorter.
	quickLook = 20 * time.Millisecond
	slowLook  = 250 * time.Millisecond
	// lookShare bounds what looking costs: a pause is at least this many times as long as the look before it.
	lookShare = 10
	longest   = 5 * time.Second
)

// watcher ends a program that goes over limits which the kernel does not hold here.
type watcher struct {
	p       *Process
	limits  Limits   // those it is there for
	folders []string // whose disk space is limited
	present int64    // bytes in them that do not count
	cancel  context.CancelFunc
	ended   chan struct{}
	found   atomic.Pointer[excess]

	memoryFiles int64     // bytes of unlinked files in memory at the last look at files
	diskAgain   time.Time // when files are to be looked at again
}

// watch begins to watch a program. end must be called before the program is reaped: until then its number is its own.
func (p *Process) watch(l Limits, folders []string, present int64) *watcher {
	if l.Memory <= 0 && l.Processes <= 0 && l.Disk <= 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{p: p, limits: l, folders: folders, present: present, cancel: cancel, ended: make(chan struct{})}
	timer := time.AfterFunc(firstLook, func() {
		defer close(w.ended)
		w.look(ctx)
	})
	w.cancel = func() {
		cancel()
		if timer.Stop() {
			close(w.ended)
		}
	}
	return w
}

// end stops watching and tells what was found.
func (w *watcher) end() *excess {
	if w == nil {
		return nil
	}
	w.cancel()
	<-w.ended
	return w.found.Load()
}

func (w *watcher) look(ctx context.Context) {
	for {
		began := time.Now()
		found, near := w.check(ctx)
		if found != nil {
			w.found.Store(found)
			w.p.kill()
			return
		}
		pause := slowLook
		if near {
			pause = quickLook
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(max(pause, lookShare*time.Since(began)), longest)):
		}
	}
}

// check looks once. near: some limit is half used up.
func (w *watcher) check(ctx context.Context) (found *excess, near bool) {
	l := w.limits
	pids := w.p.members(l.Processes)
	if l.Disk > 0 && !time.Now().Before(w.diskAgain) {
		began := time.Now()
		used, over := w.checkDisk(ctx, pids)
		if over != nil {
			return over, false
		}
		near = used > l.Disk/2
		w.diskAgain = time.Now().Add(min(lookShare*time.Since(began), longest))
	}
	if l.Memory <= 0 && l.Processes <= 0 {
		return nil, near
	}
	u := usageOf(pids, l)
	u.memory += w.memoryFiles
	switch {
	case l.Processes > 0 && max(u.tasks, len(pids)) > l.Processes:
		return l.overProcesses(), false
	case l.Memory > 0 && u.memory > l.Memory:
		return l.overMemory(), false
	}
	return nil, near || l.Processes > 0 && u.tasks > l.Processes/2 || l.Memory > 0 && u.memory > l.Memory/2
}

func (w *watcher) checkDisk(ctx context.Context, pids []int) (used int64, over *excess) {
	d := disk{ctx: ctx, most: w.limits.Disk, used: -w.present, seen: map[fileID]bool{}, devs: map[uint64]bool{}}
	for _, folder := range w.folders {
		switch err := d.measure(folder); {
		case errors.Is(err, errTooDeep):
			return 0, &excess{LimitDisk, "it nested more folders in each other than can be measured"}
		case err != nil:
			return 0, nil
		}
	}
	unlinked, memory := openUnlinked(pids, d.devs)
	w.memoryFiles = memory
	if used = d.used + unlinked; used > w.limits.Disk {
		return used, w.limits.overDisk()
	}
	return used, nil
}
