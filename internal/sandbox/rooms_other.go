//go:build unix && !linux

package sandbox

import (
	"context"
	"errors"
	"time"
)

// Rooms are made of Linux namespaces; there are none here.
type rooms struct {
	parts     []string
	noNetwork error
}

type roomVisit struct{}

// ErrRoom is under every error of Start and Wait that is the room's fault, not the program's.
var ErrRoom = errors.New("the room could not be used")

func newRooms([]allowance, bool) (*rooms, error) {
	return nil, errors.New("this system has no namespaces")
}

func (r *rooms) start(Program) (*roomVisit, error) { return nil, ErrRoom }

func (r *rooms) close() {}

func (v *roomVisit) wait(context.Context, time.Duration) (Ending, error) { return Ending{}, ErrRoom }

func (v *roomVisit) kill() {}
