package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/plugin"
)

// live is what of the service section is at work outside of the engine: the log
// and the HTTP API. A reload changes both once the new engine runs.
type live struct {
	flags *routerFlags
	reg   *plugin.Registry
	host  *engine.Host
	log   *slog.Logger

	stderr io.Writer
	logs   *logging.Handler
	level  slog.LevelVar

	mu      sync.Mutex
	service *config.Service // at work
	server  *admin.Server   // nil without http_server
	logFile *os.File        // nil without log_file
	next    *prepared       // for the engine that is to take over, or nil
}

// prepared is what must succeed before a reload is accepted.
type prepared struct {
	service *config.Service
	server  *admin.Server // nil if there is nothing to listen on yet
	logFile *os.File      // nil if the one at work stays
}

// newLive opens the log of the process.
func newLive(f *routerFlags, svc *config.Service, stderr io.Writer) (*live, error) {
	l := &live{flags: f, service: svc, stderr: stderr}
	l.level.Set(f.logLevel(svc))
	w := stderr
	if svc.LogFile != "" {
		file, err := openLogFile(svc.LogFile)
		if err != nil {
			return nil, err
		}
		l.logFile, w = file, file
	}
	l.logs = logging.NewHandler(w, &l.level)
	l.log = l.logs.Named("kagari", nil)
	return l, nil
}

// serve starts the HTTP API of the first engine.
func (l *live) serve(host *engine.Host, reg *plugin.Registry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.host, l.reg = host, reg
	if !l.service.HTTPServer {
		return nil
	}
	var err error
	l.server, err = l.start(l.service)
	return err
}

func (l *live) start(svc *config.Service) (*admin.Server, error) {
	srv := admin.New(l.host, adminOptions(svc, l.flags.configFile, l.reg, l.logs))
	if err := srv.Start(); err != nil {
		return nil, err
	}
	return srv, nil
}

// prepare opens what a new configuration needs and the current one has not. An
// error refuses the reload and changes nothing.
func (l *live) prepare(svc *config.Service) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.discard()
	next := &prepared{service: svc}
	if svc.LogFile != "" && svc.LogFile != l.service.LogFile {
		var err error
		if next.logFile, err = openLogFile(svc.LogFile); err != nil {
			return err
		}
	}
	// A port that is in use by the current server is taken over from it later.
	if svc.HTTPServer && (l.server == nil || svc.HTTPPort != l.service.HTTPPort) {
		var err error
		if next.server, err = l.start(svc); err != nil {
			if next.logFile != nil {
				_ = next.logFile.Close()
			}
			return err
		}
	}
	l.next = next
	return nil
}

// discard closes what was prepared for an engine that did not come to work.
func (l *live) discard() {
	if l.next == nil {
		return
	}
	l.close(l.next.server)
	if l.next.logFile != nil {
		_ = l.next.logFile.Close()
	}
	l.next = nil
}

// use puts to work what was prepared for the engine that runs now. One that a
// reload has replaced already, or the predecessor of one that could not start,
// leaves all as it is.
func (l *live) use(svc *config.Service) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, old := l.next, l.service
	if next == nil || next.service != svc {
		if svc == old {
			l.discard()
		}
		return
	}
	l.next, l.service = nil, svc
	l.level.Set(l.flags.logLevel(svc))
	if svc.LogFile != old.LogFile {
		l.changeLog(next.logFile)
	}
	switch {
	case next.server != nil || !svc.HTTPServer:
		l.close(l.server)
		l.server = next.server
	case !sameAPI(svc, old):
		l.close(l.server)
		var err error
		if l.server, err = l.start(svc); err != nil {
			l.log.Error("the HTTP server goes on as before", "error", err)
			if l.server, err = l.start(old); err != nil {
				l.log.Error("there is no HTTP server any more", "error", err)
			}
		}
	}
}

// changeLog makes the file, or standard error if it is nil, that of the log.
func (l *live) changeLog(file *os.File) {
	if file == nil {
		l.logs.SetWriter(l.stderr)
	} else {
		l.logs.SetWriter(file)
	}
	if l.logFile != nil {
		_ = l.logFile.Close()
	}
	l.logFile = file
}

// hotReload tells whether SIGHUP reloads.
func (l *live) hotReload() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.service.HotReload
}

// end closes everything.
func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.discard()
	l.close(l.server)
	l.server = nil
	l.changeLog(nil)
}

// close ends a server, which may be nil.
func (l *live) close(srv *admin.Server) {
	if srv == nil {
		return
	}
	if err := srv.Close(); err != nil {
		l.log.Warn("closing the HTTP server failed", "error", err)
	}
}

// sameAPI tells whether two configurations ask for the same HTTP API.
func sameAPI(a, b *config.Service) bool {
	return a.HTTPListen == b.HTTPListen && a.HTTPPort == b.HTTPPort && a.HTTPPprof == b.HTTPPprof &&
		a.HealthCheck == b.HealthCheck && a.HCErrorsCount == b.HCErrorsCount &&
		a.HCRetryFailureCount == b.HCRetryFailureCount && a.HCPeriod == b.HCPeriod &&
		a.ReadyMaxAge == b.ReadyMaxAge && a.Storage.Metrics == b.Storage.Metrics && a.HotReload == b.HotReload
}

func adminOptions(svc *config.Service, file string, reg *plugin.Registry, logs *logging.Handler) admin.Options {
	return admin.Options{
		Listen: svc.HTTPListen, Port: svc.HTTPPort, Version: Version(), Config: file, ReadyMaxAge: svc.ReadyMaxAge,
		Health: admin.HealthOptions{Enabled: svc.HealthCheck, ErrorsCount: svc.HCErrorsCount,
			RetryFailureCount: svc.HCRetryFailureCount, Period: svc.HCPeriod},
		StorageMetrics: svc.Storage.Metrics, HotReload: svc.HotReload, Pprof: svc.HTTPPprof,
		Plugins: reg, Log: logs.Named("http_server", nil),
	}
}

// logLevel is the level of the log: that of the flags before that of the file.
func (f *routerFlags) logLevel(svc *config.Service) slog.Level {
	switch {
	case f.quiet:
		return logging.LevelOff
	case f.verbose == 1:
		return slog.LevelDebug
	case f.verbose > 1:
		return logging.LevelTrace
	}
	level, _ := logging.ParseLevel(svc.LogLevel)
	return level
}

func openLogFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	return file, nil
}
