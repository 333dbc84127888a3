package objectstore

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// A write goes on as long as its bytes are taken, and fails when they are not, even when it began well.
func TestAWriteMayTakeLongAndNotStandStill(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	m := &moving{Conn: here, limit: limit}
	took := make(chan int)
	go func() {
		n := 0
		for range 6 { // together longer than the limit
			<-time.After(limit / 4)
			read, _ := there.Read(make([]byte, 10))
			n += read
		}
		took <- n
	}()
	n, err := m.Write(make([]byte, 60))
	if taken := <-took; err != nil || n != 60 || taken != 60 {
		t.Errorf("%d bytes were written and %d read: %v", n, taken, err)
	}
	go func() { _, _ = there.Read(make([]byte, 10)) }()
	if n, err := m.Write(make([]byte, 60)); !errors.Is(err, os.ErrDeadlineExceeded) || n != 10 {
		t.Errorf("%d bytes were written: %v", n, err)
	}
	// Who closes a connection bounds its last words.
	if err := m.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	m.limit = time.Hour
	if n, err := m.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || n != 0 {
		t.Errorf("%d bytes were written: %v", n, err)
	}
}
