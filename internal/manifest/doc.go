// Package manifest reads waybill.yaml, what a package says about itself: its entry points, the macros it expects, its
// messages and what it needs to run. docs/packages.md describes the format; waybill.schema.json describes it to editors.
//
// A manifest comes from whoever made the package and is believed in nothing. It is strict: what is not understood is
// refused, with the line and the member, because a misspelt member that is passed over in silence is found in production.
// Anchors and aliases are refused, so that a small text can not stand for a large one.
//
// It imports the standard library, internal/job and go.yaml.in/yaml/v3.
package manifest
