//go:build unix && !linux

package sandbox

import "context"

// Control groups are Linux's.
type (
	cgroups struct{}
	group   struct{}
)

func (s *Sandbox) useCgroups(context.Context) {}

func (c *cgroups) group(string, Limits) (*group, error) { return nil, nil }

func (g *group) rest(l Limits) Limits { return l }

func (g *group) finish(_ context.Context, _ Limits, found *excess) *excess { return found }
