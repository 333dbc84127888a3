package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestMappingsOfFilesWithoutNames(t *testing.T) {
	t.Parallel()
	m, ok := parseMapping("00400000-00403000 rw-s 00002000 fe:01 1234                       /a file (deleted)\n")
	want := mapping{addresses: "400000-403000", file: fileID{unix.Mkdev(0xfe, 1), 1234}, end: 0x5000}
	if !ok || m != want {
		t.Errorf("got %+v %v, want %+v", m, ok, want)
	}
	for _, line := range []string{"", "00400000-00403000 rw-s 00002000 fe:01 1234", "x-y rw-s 0 fe:01 1 /a", "1-2 rw-s 0 fe 1 /a", "1-2 rw-s 0 fe:01 a /a"} {
		if m, ok := parseMapping(line); ok {
			t.Errorf("%q is read as %+v", line, m)
		}
	}
}
