// Package file watches the files a spec is made of: flumen.yaml itself, what it
// includes, env files, and files that services mount.
//
//	inotify ──▶ sift ──┐
//	                   ├──▶ look ──▶ debounce ──▶ Changed
//	every 2 s ─────────┘
//
// An event of the file system never counts for more than "look": a look goes through
// every followed path, symlink by symlink, and compares what it sees with the look
// before. So it does not matter in which of their many ways editors, git and
// Kubernetes replace a file, and what happens beside the followed files is no change.
// A look is also taken every two seconds, since inotify is silent about changes made
// on the other side of a network mount, and may be short of watches. Events make the
// watcher quick; looking makes it sure.
//
// The package reads no content: whether a change means anything is for whoever loads
// the spec to find out.
package file
