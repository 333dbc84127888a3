// Package diem is the door for clients written for IBM DIEM (diem.md): one dispatcher, its words and its shapes. It has no logic of its
// own: what it does, use cases of internal/control do, and a job started here is an ordinary job.
//
// It imports api, internal/control, internal/job and the libraries of HTTP and JSON, and neither storage nor the engine.
package diem
