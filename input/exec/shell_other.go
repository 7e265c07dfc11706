//go:build !unix

package exec

import (
	"context"
	"os"
	"os/exec"
)

// shell makes the command, which is ended when ctx ends.
func shell(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", command)
}

// killGroup does nothing: there are no process groups.
func killGroup(*exec.Cmd) {}

// exitCode is the exit code.
func exitCode(state *os.ProcessState) int { return state.ExitCode() }
