// Package filelock takes files for one process, so that two routers do not
// write to the same directory.
package filelock

import "errors"

// ErrInUse says that another process has the file.
var ErrInUse = errors.New("another process uses it")
