package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// makeSpool makes a folder for uploads that goes with the process, and removes those of processes that were killed. Several
// processes may share the data folder: each holds a lock beside its own.
func (a *API) makeSpool() (string, error) {
	if err := os.MkdirAll(a.settings.Data, 0o700); err != nil {
		return "", fmt.Errorf("the data folder can not be made: %w", err)
	}
	spool, held, err := openSpool(a.settings.Data)
	if err != nil {
		return "", fmt.Errorf("the folder for uploads can not be made: %w", err)
	}
	a.onStop("spool", 5*time.Second, func(context.Context) error {
		return errors.Join(os.RemoveAll(spool), os.Remove(held.Path()), held.Unlock())
	})
	return spool, nil
}

const (
	spoolPrefix = "spool-"
	spoolLock   = ".lock"
)

func openSpool(folder string) (string, *flock.Flock, error) {
	// Nobody makes one while others are tidied.
	door := flock.New(filepath.Join(folder, "spools"+spoolLock), flock.SetPermissions(0o600))
	if err := door.Lock(); err != nil {
		return "", nil, err
	}
	defer func() { _ = door.Unlock() }()
	if err := tidySpools(folder); err != nil {
		return "", nil, err
	}
	spool, err := os.MkdirTemp(folder, spoolPrefix)
	if err != nil {
		return "", nil, err
	}
	held := flock.New(spool+spoolLock, flock.SetPermissions(0o600))
	if err := held.Lock(); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(spool))
	}
	return spool, held, nil
}

// tidySpools removes folders whose process is gone.
func tidySpools(folder string) error {
	spools, err := filepath.Glob(filepath.Join(folder, spoolPrefix+"*"))
	if err != nil {
		return err
	}
	for _, spool := range spools {
		if filepath.Ext(spool) == spoolLock {
			continue
		}
		held := flock.New(spool+spoolLock, flock.SetPermissions(0o600))
		free, err := held.TryLock()
		if err == nil && free {
			err = errors.Join(os.RemoveAll(spool), os.Remove(held.Path()), held.Unlock())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
