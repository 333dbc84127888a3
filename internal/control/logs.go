package control

import (
	"context"
	"io"

	"waybill/internal/job"
)

// Logs reads job logs (internal/joblog).
type Logs interface {
	// View is the log as it is now: the part of the attempt that holds the fence or, with fence 0, the whole.
	View(ctx context.Context, account int64, id job.ID, fence int64) (LogView, error)
	// Behind lists what the log has from a place on, as stretches. Places count all that was ever written.
	Behind(ctx context.Context, account int64, id job.ID, place int64) ([]LogStretch, error)
	// Sections gives the bytes of each attempt, by its fence.
	Sections(ctx context.Context, account int64, id job.ID) (map[int64]int64, error)
}

// LogView is a log, or an attempt's part of it, as it was when it was looked at.
type LogView struct {
	Size int64 // bytes
	Cut  bool  // it is over its limit, and something in the middle is not kept
	// Place is where the byte at an offset stands among all that was ever written.
	Place func(offset int64) int64
	// Open reads length bytes from offset; length -1 means to the end. The caller closes.
	Open func(ctx context.Context, offset, length int64) (io.ReadCloser, error)
}

// LogStretch is bytes of a log that follow each other.
type LogStretch struct {
	From, To int64 // places
	// Open reads them. A Conflict error (WordStale) tells that the rest was dropped meanwhile. The caller closes.
	Open func(ctx context.Context) (io.ReadCloser, error)
}
