// Package admin serves the router's HTTP API: Fluent Bit's endpoints under the
// same paths and forms, so that probes, dashboards and scripts carry over.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

// Router is what the API tells about.
type Router interface {
	// Metrics returns all numbers at this moment.
	Metrics() []plugin.Metric
	// Uptime is the time since the start.
	Uptime() time.Duration
	// Reload reads the configuration again and puts it to work. The error says
	// why everything was left as it was.
	Reload() error
	// Reloads is how often that has happened.
	Reloads() int
	// States returns what stands behind the numbers: the phase of the router and
	// the last failures of its instances.
	States() (plugin.Phase, []plugin.State)
}

// Options is what the service section says about the API.
type Options struct {
	Listen         string // address; with the default 0.0.0.0 also IPv6
	Port           string
	Version        string
	Config         string // file of the configuration, or ""
	Health         HealthOptions
	ReadyMaxAge    time.Duration // ready_max_age; 0: any age is good
	StorageMetrics bool
	HotReload      bool
	Pprof          bool
	Plugins        *plugin.Registry
	Log            *slog.Logger
}

// Server is the running API.
type Server struct {
	opts   Options
	router Router
	health *health
	http   http.Server
	ln     net.Listener
	done   sync.WaitGroup
	stop   context.CancelFunc
}

// New returns a server that tells about the router. Start makes it listen.
func New(router Router, opts Options) *Server {
	s := &Server{opts: opts, router: router, health: newHealth(opts.Health)}
	s.http = http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(opts.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Start listens and serves until Close.
func (s *Server) Start() error {
	host := strings.TrimSuffix(strings.TrimPrefix(s.opts.Listen, "["), "]")
	if host == "0.0.0.0" || host == "::" {
		host = "" // Both IPv4 and IPv6, where the machine has them.
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, s.opts.Port))
	if err != nil {
		return fmt.Errorf("HTTP server: %w", err)
	}
	s.ln = ln
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() {
		if err := s.http.Serve(limit(ln, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			s.opts.Log.Error("the HTTP server ended", "error", err)
		}
	})
	s.done.Go(func() { s.health.watch(ctx, s.router) })
	s.opts.Log.Info("listening", "address", ln.Addr().String())
	return nil
}

// Addr is the address that Start listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close ends the server and waits for it.
func (s *Server) Close() error {
	if s.ln == nil {
		return nil
	}
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	s.done.Wait()
	return err
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	// As in Fluent Bit, whatever only tells something answers to any method.
	mux.HandleFunc("/{$}", s.root)
	mux.HandleFunc("/api/v1/uptime", s.uptime)
	mux.HandleFunc("/api/v1/metrics", s.metricsJSON)
	mux.HandleFunc("/api/v1/metrics/prometheus", s.prometheusV1)
	mux.HandleFunc("/api/v2/metrics", s.metricsText)
	mux.HandleFunc("/api/v2/metrics/prometheus", s.prometheusV2)
	mux.HandleFunc("/api/v1/health", s.healthText)
	mux.HandleFunc("/api/v2/health", s.healthJSON)
	mux.HandleFunc("/api/v1/ready", s.ready)
	mux.HandleFunc("/api/v1/kagari/status", s.status)
	mux.HandleFunc("/api/v1/plugins", s.plugins)
	mux.HandleFunc("GET /api/v2/reload", s.reloads)
	mux.HandleFunc("POST /api/v2/reload", s.reload)
	mux.HandleFunc("PUT /api/v2/reload", s.reload)
	if s.opts.StorageMetrics {
		mux.HandleFunc("/api/v1/storage", s.storage)
	}
	if s.opts.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
		}
		mux.ServeHTTP(w, r)
	})
}

// answer writes v as JSON.
func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.opts.Log.Debug("cannot answer", "error", err)
	}
}

// root tells what this is, in the member names that scripts look for.
func (s *Server) root(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, map[string]any{
		"fluent-bit": map[string]any{"version": CompatibleVersion, "edition": edition, "flags": []string{}},
		"kagari":     map[string]any{"version": s.opts.Version},
	})
}

// edition is the word for what is not the enterprise edition of Fluent Bit.
const edition = "Community"

// CompatibleVersion is the version of Fluent Bit whose behaviour is followed.
const CompatibleVersion = "5.1.1"

func (s *Server) uptime(w http.ResponseWriter, _ *http.Request) {
	sec := int64(s.router.Uptime().Seconds())
	d, h, m := sec/86400, sec/3600%24, sec/60%60
	plural := func(n int64, unit string) string {
		if n > 1 {
			unit += "s"
		}
		return fmt.Sprintf("%d %s", n, unit)
	}
	s.answer(w, http.StatusOK, struct {
		Sec int64  `json:"uptime_sec"`
		HR  string `json:"uptime_hr"`
	}{sec, fmt.Sprintf("Fluent Bit has been running:  %s, %s, %s and %s",
		plural(d, "day"), plural(h, "hour"), plural(m, "minute"), plural(sec%60, "second"))})
}

func (s *Server) plugins(w http.ResponseWriter, _ *http.Request) {
	names := map[string][]string{"inputs": {}, "filters": {}, "outputs": {}}
	for _, d := range s.opts.Plugins.All() {
		if _, ok := names[d.Kind.String()+"s"]; ok && !d.Hidden {
			names[d.Kind.String()+"s"] = append(names[d.Kind.String()+"s"], d.Name)
		}
	}
	s.answer(w, http.StatusOK, map[string]any{"plugins": names})
}

func (s *Server) reloads(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, map[string]int{"hot_reload_count": s.router.Reloads()})
}

func (s *Server) reload(w http.ResponseWriter, _ *http.Request) {
	if !s.opts.HotReload {
		s.answer(w, http.StatusBadRequest, map[string]any{"reload": "not enabled", "status": -1})
		return
	}
	if err := s.router.Reload(); err != nil {
		s.answer(w, http.StatusBadRequest, map[string]any{"reload": "failed", "status": -1, "error": err.Error()})
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"reload": "done", "status": 0})
}
