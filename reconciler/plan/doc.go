// Package plan decides what to do about a drift, and in which order.
//
//	spec.Desired ┐
//	             ├─▶ Build ─▶ Plan ─▶ text, JSON, or the executor
//	drift.Drift  ┘
//
// A Plan is a value: stages that run one after the other, steps inside a stage
// that wait for one another, each with its cause in words, and what is held back
// and by which rule. Everything is decided here; whoever executes a Plan decides
// nothing.
//
// The package is pure.
package plan
