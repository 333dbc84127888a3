//go:build unix && !linux

package runner

import "waybill/internal/job"

// sandbox does not exist here: programs run with the worker's rights.
type sandbox struct{ why string }

func newSandbox(mode SandboxMode, _ []string) (*sandbox, error) {
	s := &sandbox{why: "this system has no Landlock"}
	switch mode {
	case SandboxOff:
		s.why = "off by setting"
	case SandboxStrict:
		return nil, job.Errorf(job.Unavailable, "", "The sandbox is set to strict, but %s", s.why)
	case SandboxAuto:
	default:
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "Sandbox %q is none of auto, strict, off", string(mode))
	}
	return s, nil
}

func (s *sandbox) enforced() bool { return false }
func (s *sandbox) String() string { return s.why }
func (s *sandbox) close()         {}
