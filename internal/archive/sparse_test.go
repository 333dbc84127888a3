package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"waybill/internal/job"
)

// makeSparse makes a tar of one member in GNU's old sparse format that is all hole: size bytes of nothing. archive/tar
// reads such a thing but does not write it.
func makeSparse(t testing.TB, size int64) []byte {
	t.Helper()
	h := make([]byte, 512)
	octal := func(at, width int, v int64) { copy(h[at:at+width], fmt.Sprintf("%0*o", width-1, v)) }
	copy(h, "hole")
	octal(100, 8, 0o644) // mode
	octal(108, 8, 0)     // uid
	octal(116, 8, 0)     // gid
	octal(124, 12, 0)    // bytes that follow
	octal(136, 12, 0)    // time
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	h[483] = 0x80 // size with holes, as a binary number: it may be larger than octal digits can say
	binary.BigEndian.PutUint64(h[487:], uint64(size))
	copy(h[148:], "        ")
	var sum int64
	for _, b := range h {
		sum += int64(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(append(h, make([]byte, 1024)...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Holes take no room in the archive, but they do once they are unpacked.
func TestHolesCountAgainstTheLimits(t *testing.T) {
	bomb := makeSparse(t, 8<<20)
	if _, err := Inspect(t.Context(), bytes.NewReader(bomb), int64(len(bomb)), "p.tar.gz", smallLimits); job.WordOf(err) != job.WordInvalidPackage {
		t.Errorf("Inspect: %v", err)
	}
	dst := filepath.Join(t.TempDir(), "tree")
	if _, err := Unpack(t.Context(), bytes.NewReader(bomb), int64(len(bomb)), "p.tar.gz", dst, smallLimits); job.WordOf(err) != job.WordInvalidPackage {
		t.Errorf("Unpack: %v", err)
	}
	small := makeSparse(t, 4<<10)
	if _, err := Inspect(t.Context(), bytes.NewReader(small), int64(len(small)), "p.tar.gz", smallLimits); err != nil {
		t.Errorf("a small hole is refused: %v", err)
	}
}

// Nothing is read from the source while a hole is passed, so the end of the context must be seen elsewhere.
func TestHolesEndWithTheContext(t *testing.T) {
	huge := makeSparse(t, 1<<60)
	ctx, cancel := context.WithCancel(t.Context())
	cut := time.AfterFunc(time.Millisecond, cancel)
	defer cut.Stop()
	limits := Limits{Members: 10, Unpacked: 1 << 62, Ratio: 1, RatioFrom: 1 << 62}
	if _, err := Inspect(ctx, bytes.NewReader(huge), int64(len(huge)), "p.tar.gz", limits); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
