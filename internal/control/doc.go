// Package control holds the use cases: what a door, the reconciler or an activity can ask Waybill to do. One noun is one
// service (Configs, Files, Jobs, Sessions), one verb is one file.
//
// It imports the domain, workflows/contract and small technology-free packages (internal/secret); the stores, Temporal and
// HTTP reach it only through the interfaces in ports.go, which internal/app satisfies.
package control
