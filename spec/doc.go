// Package spec says what should be: the desired state of one project, as plain
// values.
//
//	flumen.yaml ──▶ spec/compose ──▶ Desired ──▶ drift.Compare ──▶ plan.Build
//
// A Desired is made of tiers, a tier of resources (images, networks, volumes,
// services, buckets). Every resource says what it is called (Ref), what has to be there
// first (After), and what it looks like (Fields) in one canonical form, so that
// two of them can be compared without knowing what they are.
//
// The package is pure: it reads no file, no clock and no environment, and it
// imports no client library. Reading flumen.yaml is the work of spec/compose,
// watching it that of spec/file.
package spec
