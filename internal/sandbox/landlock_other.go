//go:build unix && !linux

package sandbox

// landlocked does not exist here: programs run with the worker's rights.
type landlocked struct{ why string }

func newLandlocked(use bool, _ []allowance) *landlocked {
	if !use {
		return &landlocked{why: "off by setting"}
	}
	return &landlocked{why: "this system has no Landlock"}
}

func (s *landlocked) enforced() bool  { return false }
func (s *landlocked) deniesTCP() bool { return false }
func (s *landlocked) String() string  { return s.why }
func (s *landlocked) close()          {}

func (s *Sandbox) hide() error { return nil }
