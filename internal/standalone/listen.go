package standalone

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

const loopbackIP = "127.0.0.1"

func loopback(port int) string { return net.JoinHostPort(loopbackIP, strconv.Itoa(port)) }

// bind listens on address, which flag sets. A name is resolved first, so that the address in errors is the real one.
func bind(flag, address string) (*net.TCPListener, error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s %s is not an address: %w", flag, address, err)
	}
	if addr.IP == nil { // ":7233" must not mean the whole network
		addr.IP = net.ParseIP(loopbackIP)
	}
	l, err := net.ListenTCP("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: address %s is in use by another program: %w", flag, address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", flag, address, err)
	}
	return l, nil
}

// choosePorts finds out where the Temporal server can listen. The server binds by itself, so the ports are free again when
// this returns; all are held until then, so that no two are the same.
func choosePorts(listen string) (ports, error) {
	frontend, err := bind(temporalFlag, listen)
	if err != nil {
		return ports{}, err
	}
	defer frontend.Close()
	p := ports{frontend: frontend.Addr().(*net.TCPAddr)}
	for _, port := range []*int{&p.history, &p.matching, &p.worker, &p.internal} {
		l, err := net.Listen("tcp", loopback(0))
		if err != nil {
			return ports{}, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

// dialable is how a client on this machine reaches addr.
func dialable(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() {
		return loopback(addr.Port)
	}
	return addr.String()
}
