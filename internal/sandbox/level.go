package sandbox

import (
	"context"
	"errors"
	"os"
	"strings"

	"waybill/internal/job"
)

// raise puts up what the mode asks for and the machine offers: rooms with Landlock, one of them alone, or nothing.
func (s *Sandbox) raise(ctx context.Context) error {
	mode := s.cfg.Mode
	switch mode {
	case Auto, Strict, Off, landlockOnly, roomsOnly:
	default:
		return job.Errorf(job.Invalid, job.WordInvalidField, "Sandbox %q is none of auto, strict, off", string(mode))
	}
	var allowed []allowance
	if mode != Off {
		allowed = except(append(append(systemPaths(), toolPaths(os.Getenv("PATH"), homeFolders())...), ownExecutable()...),
			resolved(s.cfg.Protect))
	}
	s.landlock = newLandlocked(mode == Auto || mode == Strict || mode == landlockOnly, allowed)
	if mode == Auto || mode == Strict || mode == roomsOnly {
		s.rooms, s.noRooms = newRooms(allowed, s.landlock.enforced())
	}
	if mode == Strict {
		if err := s.strictFault(); err != nil {
			s.lower()
			return job.Errorf(job.Unavailable, "", "The sandbox is set to strict, but %s", err.Error())
		}
	}
	if err := s.hide(); err != nil {
		s.lower()
		return err
	}
	s.warn(ctx)
	return nil
}

// strictFault tells what of the full sandbox is missing.
func (s *Sandbox) strictFault() error {
	switch {
	case !s.landlock.enforced():
		return errors.New(s.landlock.String())
	case s.rooms == nil:
		return errors.New("namespaces can not be used here (" + s.noRooms.Error() + ")")
	default:
		return s.NetworkNone()
	}
}

// warn tells what Auto has to do without.
func (s *Sandbox) warn(ctx context.Context) {
	log := func(text string, args ...any) { s.cfg.Logger.WarnContext(ctx, text, args...) }
	switch mode := s.cfg.Mode; {
	case mode == Off: // as asked for
	case !s.Enforced():
		log("programs run without a sandbox", "reason", s.landlock.String(), "namespaces", s.noRooms)
	case s.rooms == nil && s.noRooms != nil:
		log("programs are not kept in namespaces of their own: they see other processes and can not be kept from the network",
			"reason", s.noRooms)
	case !s.landlock.enforced() && mode == Auto:
		log("programs are kept in namespaces, but without Landlock", "reason", s.landlock.String())
	case s.rooms != nil && s.rooms.noNetwork != nil:
		log("programs can not be kept from the network", "reason", s.rooms.noNetwork)
	}
}

func (s *Sandbox) lower() {
	s.landlock.close()
	if s.rooms != nil {
		s.rooms.close()
		s.rooms = nil
	}
}

// ownExecutable is this program, which some runtimes run as a helper. One in a temporary folder is left out: it would take
// the place of every room's own /tmp.
func ownExecutable() []allowance {
	path, err := os.Executable()
	if err != nil || within(path, os.TempDir()) {
		return nil
	}
	return []allowance{{path, accessExec}}
}

// Enforced tells whether programs are held back to the folders they were given.
func (s *Sandbox) Enforced() bool { return s.rooms != nil || s.landlock.enforced() }

// Rooms tells whether each program has namespaces of its own: it sees its own processes only, and /tmp is its own.
func (s *Sandbox) Rooms() bool { return s.rooms != nil }

// NetworkNone tells why a program started with NoNetwork would not be cut off from the network entirely; nil: it is.
func (s *Sandbox) NetworkNone() error {
	switch {
	case s.rooms != nil && s.rooms.noNetwork == nil:
		return nil
	case s.landlock.deniesTCP() && s.rooms == nil:
		return errors.New("TCP is closed by Landlock, but UDP is open: this worker has no namespaces")
	default:
		return errors.New("the network is open: this worker has no network namespaces")
	}
}

// String tells in one line what holds programs back, or why nothing does: "namespaces, landlock 7, seccomp".
func (s *Sandbox) String() string {
	switch {
	case s.rooms != nil:
		return strings.Join(s.rooms.parts, ", ")
	case s.landlock.enforced() && s.noRooms != nil:
		return s.landlock.String() + " (no namespaces: " + s.noRooms.Error() + ")"
	default:
		return s.landlock.String()
	}
}
