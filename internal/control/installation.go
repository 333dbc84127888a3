package control

import (
	"context"

	"waybill/internal/job"
)

// Marks keeps what must stay the same for as long as an installation lives.
type Marks interface {
	// KeepMark stores the mark under the name unless there is one, and gives the one that is stored.
	KeepMark(ctx context.Context, name, mark string) (stored string, err error)
	// Mark is the stored one, empty if there is none.
	Mark(ctx context.Context, name string) (string, error)
}

// keyMark is the name of the master key's fingerprint.
const keyMark = "master-key"

// CheckMasterKey refuses a process whose master key is not the one of the database: it could open no secret, would fail the
// jobs of others for it, and would seal what nobody else can open. The first key that comes is the installation's.
func CheckMasterKey(ctx context.Context, m Marks, fingerprint string) error {
	stored, err := m.KeepMark(ctx, keyMark, fingerprint)
	if err == nil && stored != fingerprint {
		err = job.Errorf(job.Invalid, job.WordInvalidField, "the secrets in the database are sealed with another master key")
	}
	return err
}
