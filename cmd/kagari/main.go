// Command kagari collects logs, shapes them and routes them to many places. It
// takes the configuration files and flags of Fluent Bit as they are.
//
// Exit codes:
//
//	0  ended as asked, or nothing wrong was found
//	1  the configuration or a start failed, or a check found errors
//	2  the command line is wrong
//	3  --strict, and records were lost
//
// An input or output that ends the process (exec, exit, stdin) may give its own.
package main

import (
	"os"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitLost   = 3
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
