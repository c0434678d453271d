// Package proof decides which files of a Delta table are dead: no version that has to stay
// readable needs them, and the table's own log shows it.
//
//	log files' names ──▶ Log ──▶ Replay (commits, newest first; then checkpoints) ──▶ Facts
//	                                                                                   │
//	listed files ──────────────────────────── Facts.Judge ◀──────────────────────────┘
//	                                                │
//	                              kept · dead · orphan · unproven · foreign · ...
//
// Two questions are kept apart. What is live is what the protocol says, and is for reports and
// for cross-checks. What is protected is a superset of it, which every doubt widens; only that
// decides. Facts are held as digests of paths, so that a table of a million files takes some
// tens of megabytes.
//
// The package is pure: it reads no store, no clock and no file. What it is told are values, and
// whoever tells them has read them.
package proof
