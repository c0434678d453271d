// Package delta looks at Delta tables and says what of them may go.
//
//	Store ──▶ Discover ──▶ tables ──▶ Plan: list the data, then read the log ──▶ proof.Table
//	                                          │                  │
//	                                    spilled to disk     commits, checkpoints ──▶ proof.Replay
//
// What a table's log means, and which of its files are dead, is decided by package proof from
// values. This package reads them: names and JSON and parquet from a Store. It is the only one
// that imports the parquet library. It removes nothing.
package delta
