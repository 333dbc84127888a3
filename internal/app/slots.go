package app

import (
	"sync/atomic"

	"go.temporal.io/sdk/worker"
)

// slots are the places in which a process runs programs. They are the process's and not one SDK worker's, because a process
// that drains and resumes has two of those for a while, and they must not run twice as many together.
type slots struct {
	worker.SlotSupplier
	used atomic.Int64
}

func newSlots(n int) (*slots, error) {
	fixed, err := worker.NewFixedSizeSlotSupplier(n)
	return &slots{SlotSupplier: fixed}, err
}

// taken marks the permits of programs that run, apart from those of polls that wait for one.
type taken struct{}

// MarkSlotUsed counts.
func (s *slots) MarkSlotUsed(info worker.SlotMarkUsedInfo) {
	info.Permit().UserData = taken{}
	s.used.Add(1)
	s.SlotSupplier.MarkSlotUsed(info)
}

// ReleaseSlot counts back.
func (s *slots) ReleaseSlot(info worker.SlotReleaseInfo) {
	if p := info.Permit(); p != nil && p.UserData == (taken{}) {
		p.UserData = nil
		s.used.Add(-1)
	}
	s.SlotSupplier.ReleaseSlot(info)
}

// running is how many programs run now.
func (s *slots) running() int { return int(s.used.Load()) }

// otherSlots is how many workflow tasks and the like one worker handles at once: the SDK's own default.
const otherSlots = 1000

// tuner makes a worker use the slots for activities.
func (s *slots) tuner() (worker.WorkerTuner, error) {
	other := func() worker.SlotSupplier {
		fixed, _ := worker.NewFixedSizeSlotSupplier(otherSlots) // an error only for sizes below 1
		return fixed
	}
	return worker.NewCompositeTuner(worker.CompositeTunerOptions{
		WorkflowSlotSupplier: other(), ActivitySlotSupplier: s, LocalActivitySlotSupplier: other(), NexusSlotSupplier: other(),
		SessionActivitySlotSupplier: other(),
	})
}
