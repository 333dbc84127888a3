package standalone

import (
	"net"
	"testing"
)

func TestThePortOfTheLastStartIsTakenAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	last := l.Addr().String()
	if got := sameAsLast("127.0.0.1:0", last); got != "127.0.0.1:0" {
		t.Errorf("with the port taken: %s", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for listen, want := range map[string]string{
		"127.0.0.1:0": last, "127.0.0.1:7233": "127.0.0.1:7233", "127.0.0.2:0": "127.0.0.2:0", "nonsense": "nonsense",
	} {
		if got := sameAsLast(listen, last); got != want {
			t.Errorf("sameAsLast(%s) = %s, want %s", listen, got, want)
		}
	}
	if got := sameAsLast("127.0.0.1:0", ""); got != "127.0.0.1:0" {
		t.Errorf("at the first start: %s", got)
	}
}
