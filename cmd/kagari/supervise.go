package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// goPanic is the exit code of a Go program that panics. It is also exitUsage,
// but the command line was found good before there is a child.
const goPanic = 2

// supervise runs this command again as a child, without --supervisor, passes
// signals on, and starts it again after a crash with a growing pause.
func (p *program) supervise() error {
	args := make([]string, 0, len(os.Args))
	for _, a := range os.Args[1:] {
		if a != "--supervisor" {
			args = append(args, a)
		}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(signals)
	wait := time.Second
	for {
		started := time.Now()
		cmd := exec.Command(os.Args[0], args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return p.failed(fmt.Errorf("start the router: %w", err))
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		asked := false
		var err error
	running:
		for {
			select {
			case s := <-signals:
				asked = asked || s != syscall.SIGHUP
				_ = cmd.Process.Signal(s) // It may have ended just now.
			case err = <-ended:
				break running
			}
		}
		var exit *exec.ExitError
		if err == nil || asked || errors.As(err, &exit) && exit.ExitCode() >= 0 && exit.ExitCode() != goPanic {
			// It ended by itself: only death by a signal or a panic is a crash.
			p.code = cmd.ProcessState.ExitCode()
			return nil
		}
		if time.Since(started) > time.Minute {
			wait = time.Second
		}
		fmt.Fprintf(p.err, "kagari: the router died (%v) and is started again in %v\n", err, wait)
		select {
		case <-time.After(wait):
		case <-signals:
			return nil
		}
		wait = min(2*wait, time.Minute)
	}
}
