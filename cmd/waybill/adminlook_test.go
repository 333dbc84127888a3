package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"waybill/internal/secret"
	"waybill/storage/storagetest"
)

// What works beside the processes makes no database and touches no tables: bringing those up to date is the act of who upgrades.
func TestCommandsOfOperatorsLeaveTheTablesAlone(t *testing.T) {
	t.Setenv("WAYBILL_MASTER_KEY", secret.NewKey().Text())
	t.Run("sqlite", func(t *testing.T) {
		s := shell{t, filepath.Join(t.TempDir(), "data")}
		s.refused("does not exist")
		if left, err := os.ReadDir(s.data); !errors.Is(err, fs.ErrNotExist) && len(left) != 0 {
			t.Errorf("they made %v, %v", left, err)
		}
		s.leaveAlone()
	})
	t.Run("postgres", func(t *testing.T) {
		t.Setenv("WAYBILL_DATABASE", storagetest.PostgresURL(t))
		s := shell{t, t.TempDir()}
		s.refused("has no tables")
		s.leaveAlone()
	})
}

// refused calls all of them.
func (s shell) refused(why string) {
	s.t.Helper()
	for _, args := range [][]string{
		{"admin", "user", "list"}, {"admin", "user", "create", "eve"}, {"admin", "audit", "export"}, {"account", "create", "other", "--admin", "boss"},
		{"keys", "list"}, {"keys", "rotate"},
	} {
		_, faults := s.call(exitFailed, "tulips-of-eve\n", args...)
		s.wants(faults, why)
	}
}

func (s shell) leaveAlone() {
	s.t.Helper()
	s.call(exitOK, "", "migrate", "up")
	s.call(exitOK, "", "migrate", "down", "--steps", "1", "--yes")
	before, _ := s.call(exitPending, "", "migrate", "status")
	s.refused("waybill migrate up")
	if after, _ := s.call(exitPending, "", "migrate", "status"); after != before {
		s.t.Errorf("the tables are now\n%s\nand were\n%s", after, before)
	}
	s.call(exitOK, "", "migrate", "up")
	s.call(exitOK, "", "keys", "list")
	s.call(exitOK, "", "admin", "audit", "export")
}
