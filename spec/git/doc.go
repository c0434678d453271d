// Package git follows a specification in a git repository: over HTTPS, over SSH, or on
// this machine.
//
//	remote ──poll──▶ clone ──▶ candidate   what is loaded and checked
//	                   │
//	                   └─────▶ live        what containers mount
//
// Polling asks the remote what its branch, tag or commit is at, and fetches only what is
// new. A commit is loaded from the candidate, beside the live tree. The live tree stays at
// one path for ever and moves only when a run begins to act (Enter): files that do not
// change keep their inodes, the others are replaced whole. Before an old container is
// started again the tree goes back (GoBack).
//
// All of it is a cache in one directory, but for files that people or containers have
// changed in the live tree: those are never overwritten or removed, only put aside.
package git
