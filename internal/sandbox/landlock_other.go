//go:build unix && !linux

package sandbox

import "waybill/internal/job"

// landlocked does not exist here: programs run with the worker's rights.
type landlocked struct{ why string }

func newLandlocked(mode Mode, _ []string) (*landlocked, error) {
	s := &landlocked{why: "this system has no Landlock"}
	switch mode {
	case Off:
		s.why = "off by setting"
	case Strict:
		return nil, job.Errorf(job.Unavailable, "", "The sandbox is set to strict, but %s", s.why)
	case Auto:
	default:
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "Sandbox %q is none of auto, strict, off", string(mode))
	}
	return s, nil
}

func (s *landlocked) enforced() bool { return false }
func (s *landlocked) String() string { return s.why }
func (s *landlocked) close()         {}
