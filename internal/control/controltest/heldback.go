package controltest

import (
	"io"
	"time"
)

// HeldBack is a body that its sender keeps back until something has happened, for so long that the server is to ask again who sends it.
func (w *World) HeldBack(body io.Reader, meanwhile func()) io.Reader {
	return &heldBack{w, meanwhile, body}
}

type heldBack struct {
	w         *World
	meanwhile func()
	io.Reader
}

func (h *heldBack) Read(p []byte) (int, error) {
	if h.meanwhile != nil {
		h.meanwhile()
		h.w.Pass(5 * time.Second)
		h.meanwhile = nil
	}
	return h.Reader.Read(p)
}
