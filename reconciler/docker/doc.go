// Package docker is the target for images, networks, volumes and services: it reads
// them from a Docker engine and changes them there.
//
//	            draw                     create, copy in, start
//	spec.Service ──▶ blueprint ─────────────────▶ container
//	     ▲                                            │
//	     └──────────────── read ◀─────────────────────┘ inspect
//
// Both directions are plain translations, so what is wanted and what is found get
// their Fields from the same spec.Service and differ only where the two differ. What
// the image or the engine added by itself is taken out of the found fields, unless
// the spec names it.
//
// The package decides nothing: it acts on what a plan.Change names, by the ID that
// was observed, and touches nothing that is not owned. It never removes a volume.
package docker
