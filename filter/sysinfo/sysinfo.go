// Package sysinfo is the filter sysinfo: it adds fields about the system to
// records.
package sysinfo

import (
	"bytes"
	"context"
	_ "embed"
	"log/slog"
	"os"
	"runtime"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "sysinfo",
		Summary: "Adds fields about the system to records",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter: the keys of the fields. A field without
// a key is not added.
type Config struct {
	VersionKey       string
	OSNameKey        string
	HostnameKey      string
	OSVersionKey     string
	KernelVersionKey string
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.String(&c.VersionKey, "fluentbit_version_key", "", "The key for the version of this program."),
		option.String(&c.OSNameKey, "os_name_key", "", "The key for the name of the operating system, such as linux, macos or win64."),
		option.String(&c.HostnameKey, "hostname_key", "", "The key for the name of the host."),
		option.String(&c.OSVersionKey, "os_version_key", "", "The key for the version of the operating system; Linux only."),
		option.String(&c.KernelVersionKey, "kernel_version_key", "", "The key for the version of the kernel; Linux only."),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	f := &Filter{cfg: *c, version: env.Service.Version, log: env.Log, hostname: os.Hostname}
	if runtime.GOOS != "linux" && (c.OSVersionKey != "" || c.KernelVersionKey != "") {
		env.Log.Warn("os_version_key and kernel_version_key are ignored on this system", "system", runtime.GOOS)
		f.cfg.OSVersionKey, f.cfg.KernelVersionKey = "", ""
	}
	return f, nil
}

// Filter adds fields.
type Filter struct {
	cfg      Config
	version  string
	log      *slog.Logger
	hostname func() (string, error)

	// fields before and behind that of the host's name, which can change:
	// constants that records alias.
	before, behind []event.Field
	hostKey        event.Value // nil: none
}

var (
	_ plugin.Filter  = (*Filter)(nil)
	_ plugin.Starter = (*Filter)(nil)
)

// The parts of uname(2), as files.
const (
	versionFile = "/proc/sys/kernel/version"
	releaseFile = "/proc/sys/kernel/osrelease"
)

// Start asks the system.
func (f *Filter) Start(context.Context) error {
	add := func(to *[]event.Field, key, val string) {
		if key != "" {
			*to = append(*to, event.Field{Key: event.AppendString(nil, key), Val: event.AppendString(nil, val)})
		}
	}
	add(&f.before, f.cfg.VersionKey, f.version)
	add(&f.before, f.cfg.OSNameKey, osName())
	if f.cfg.HostnameKey != "" {
		f.hostKey = event.AppendString(nil, f.cfg.HostnameKey)
	}
	if f.cfg.OSVersionKey != "" {
		add(&f.behind, f.cfg.OSVersionKey, f.read(versionFile))
	}
	if f.cfg.KernelVersionKey != "" {
		add(&f.behind, f.cfg.KernelVersionKey, f.read(releaseFile))
	}
	return nil
}

const unknown = "unknown"

func (f *Filter) read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		f.log.Warn("a version of the system is not known", "error", err)
		return unknown
	}
	return string(bytes.TrimSpace(text))
}

// osName returns the name that Fluent Bit gives the system.
func osName() string {
	switch runtime.GOOS {
	case "darwin":
		return "macos"
	case "windows":
		if runtime.GOARCH == "386" || runtime.GOARCH == "arm" {
			return "win32"
		}
		return "win64"
	}
	return runtime.GOOS
}

// Filter adds the fields to all events of b.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	var host event.Value
	if f.hostKey != nil {
		name, err := f.hostname()
		if err != nil {
			f.log.Warn("the name of the host is not known", "error", err)
			name = unknown
		}
		host = b.String(name)
	}
	for i := range b.Events {
		e := &b.Events[i]
		for _, field := range f.before {
			e.Append(field.Key, field.Val)
		}
		if f.hostKey != nil {
			e.Append(f.hostKey, host)
		}
		for _, field := range f.behind {
			e.Append(field.Key, field.Val)
		}
	}
	return nil
}
