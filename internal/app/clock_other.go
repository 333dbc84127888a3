//go:build !linux

package app

import "time"

// elapsed tells how much time has gone since some moment.
func elapsed() func() time.Duration { return awake() }
