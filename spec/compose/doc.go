// Package compose loads flumen.yaml, a superset of the Compose specification,
// into a spec.Desired.
//
//	            ┌─ pass 1: the YAML nodes ──▶ unknown keys, values, variables
//	flumen.yaml ┤                             (every fault with its position)
//	  + files   └─ pass 2: compose-go, one tier at a time ──▶ joined ──▶ checked
//	                                                                       │
//	                                         spec.Desired ◀── converted ───┘
//
// The first pass knows positions and finds all faults of a file at once; the
// second is compose-go, which knows what Compose means by interpolation,
// extends, profiles and merging, but stops at its first error. Each tier is
// loaded apart, so that Compose files that were written to be run alone load
// unchanged, and joined afterwards.
//
// It is the only package that imports compose-go and the YAML library. It reads
// files and nothing else: no engine, no network, no environment but the one it
// is given.
package compose
