package enginetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// BrittleDisk is a small ext4 that a test can break. It is gone after the test.
type BrittleDisk struct {
	testing.TB
	Dir   string
	image string
}

// NewBrittleDisk makes one.
func NewBrittleDisk(t testing.TB) *BrittleDisk {
	t.Helper()
	d := &BrittleDisk{t, t.TempDir(), filepath.Join(t.TempDir(), "disk")}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 16<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		Lacks(t, "mkfs.ext4: "+err.Error()+" "+string(out))
	}
	if out, err := d.mount(); err != nil {
		Lacks(t, "the right to mount a file as a disk, as root has it: "+out)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.Dir, syscall.MNT_DETACH) })
	return d
}

func (d *BrittleDisk) mount() (said string, err error) {
	out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", d.image, d.Dir).CombinedOutput()
	return string(out), err
}

// Fail has the kernel find an error on the disk: as most systems ask for, it makes the file system
// read-only at once, also for files that are open for writing.
func (d *BrittleDisk) Fail() {
	d.Helper()
	device, err := exec.Command("losetup", "-n", "-O", "NAME", "-j", d.image).Output()
	if err != nil {
		d.Fatal(err)
	}
	name := filepath.Base(strings.TrimSpace(string(device)))
	if err := os.WriteFile(filepath.Join("/sys/fs/ext4", name, "trigger_fs_error"), []byte("test"), 0); err != nil {
		Lacks(d, "an ext4 of the kernel that can be made to fail: "+err.Error())
	}
}

// Repair does what a person does then: copies what can be read to another disk, checks that, and
// mounts it at the same place. Files that are open stay on what was mounted before, which stays
// below it, so that nothing is written to the bare folder in between.
func (d *BrittleDisk) Repair() {
	d.Helper()
	content, err := os.ReadFile(d.image)
	if err != nil {
		d.Fatal(err)
	}
	d.image += "-2"
	if err := os.WriteFile(d.image, content, 0o600); err != nil {
		d.Fatal(err)
	}
	out, err := exec.Command("e2fsck", "-p", d.image).CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &failed) && failed.ExitCode() == 1) { // 1: errors corrected
		d.Fatalf("%v: %s", err, out)
	}
	if out, err := d.mount(); err != nil {
		d.Fatal(out)
	}
	d.Cleanup(func() { _ = syscall.Unmount(d.Dir, syscall.MNT_DETACH) })
}
