package enginetest

import (
	"syscall"
	"testing"
)

// SmallDisk gives a folder on a file system of its own, of a size such as "1m", that is gone
// after the test.
func SmallDisk(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		Lacks(t, "the right to mount a small file system, as root has it: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
