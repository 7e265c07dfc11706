//go:build !unix

package filelock

import "os"

// Lock does nothing where there is no flock.
func Lock(*os.File) error { return nil }

// Test does nothing where there is no flock.
func Test(*os.File) error { return nil }
