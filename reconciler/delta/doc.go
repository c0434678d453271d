// Package delta looks at Delta tables and says what of them may go.
//
//	Store ──▶ Discover ──▶ tables ──▶ Plan: list the data, then read the log ──▶ proof.Table
//	                                          │                  │
//	                                    spilled to disk     commits, checkpoints ──▶ proof.Replay
//
// What a table's log means, and which of its files are dead, is decided by package proof from
// values. This package reads them: names and JSON and parquet from a Store. It is the only one
// that imports the parquet library.
//
//	plan ──▶ manifest ──▶ batch: allowed? ─▶ (copies) ─▶ tail of the log ─▶ journal ─▶ Remover ──▶ look again
//	                        ▲                                                   │          │
//	                        └── pause, hold, window, signal                     └── Undo ◀─┘
//
// A Plan removes nothing and holds a Store, which cannot. Run carries out what a plan says: it
// holds a Remover, which can. What it is about to do is on disk before it is done, so that Undo
// brings everything back wherever the process was killed.
package delta
