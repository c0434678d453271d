// Package drift says how far reality is from what should be.
//
// Targets look at the running system and report what they Found; Compare holds
// that against a spec.Desired and gives the differences, attribute by attribute.
// A Difference is a fact; what to do about it is decided by reconciler/plan.
//
// The package is pure. What could not be seen is never taken for absent: it is
// in Observed.Blind, and comes out as the verdict Unseen.
package drift
