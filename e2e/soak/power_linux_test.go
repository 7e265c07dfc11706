package soak

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// disk is a file system in a file. What was not synced is only in memory, so a
// copy of the file is what a machine finds after it has lost its power.
type disk struct {
	t     *testing.T
	image string
	dir   string // where it is mounted
}

// newDisk makes and mounts a file system, or skips the test where that cannot be
// done.
func newDisk(t *testing.T) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a file system that loses what is not synced can only be mounted by root")
	}
	d := &disk{t: t, image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir()}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(64 << 20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		t.Skipf("no file system can be made here: %v %s", err, out)
	}
	if out, err := d.mount(); err != nil {
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", d.dir).Run() })
	return d
}

// mount mounts it so that the system writes nothing by itself for five minutes.
func (d *disk) mount() ([]byte, error) {
	return exec.Command("mount", "-o", "loop,commit=300", d.image, d.dir).CombinedOutput()
}

// losePower kills the router and takes the file system back to what was synced.
func (d *disk) losePower(r *router) {
	d.t.Helper()
	r.kill()
	after := d.image + ".after"
	for _, line := range [][]string{
		{"cp", "--sparse=always", d.image, after},
		{"umount", d.dir},
		{"mv", after, d.image},
	} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			d.t.Fatalf("%v: %v %s", line, err, out)
		}
	}
	if out, err := d.mount(); err != nil {
		d.t.Fatalf("mount: %v %s", err, out)
	}
}

// With storage.sync full and DB.Sync full nothing is lost with the power either.
func TestPowerCutsWhileFilesAreFollowed(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	followAndKill(t, kills(2, 20), d.dir, d.losePower,
		"STORAGE", "storage.path "+d.dir+"/chunks\n    storage.sync full", "TYPE", "filesystem", "SYNC", "full")
}

func TestPowerCutsWhilePeersWaitForAcks(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	sendAndKill(t, kills(2, 20), true, d.losePower, "INPUT_NAME", "forward", "OPTION", "",
		"STORAGE", "storage.path "+d.dir+"/chunks\n    storage.sync full", "TYPE", "filesystem")
}
