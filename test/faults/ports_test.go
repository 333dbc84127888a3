package faults

import (
	"fmt"
	"net"
)

// freePort is a port below those that connections go out through, so that nobody takes it between two starts of a process.
func freePort(random interface{ IntN(int) int }) (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+random.IntN(20000))
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("there is no free port")
}
