package engine

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
)

// noEffect warns about an option that is taken but does nothing here. why says
// what holds instead.
func (b *builder) noEffect(pos option.Pos, section, key, why string) {
	b.problems = append(b.problems, option.Problem{Severity: option.Warning, Pos: pos, Section: section, Key: key,
		Message: fmt.Sprintf("option %q has no effect: %s", key, why)})
}

const notYet = "it is not part of this version"

// serviceWithoutEffect looks through the settings of the process.
func (b *builder) serviceWithoutEffect() {
	svc := b.cfg.Service
	for _, o := range []struct {
		given    bool
		key, why string
	}{
		{svc.Daemon, "daemon", "the router stays in the foreground; let systemd or a container run it"},
		{svc.DNSMode != "" && !strings.EqualFold(svc.DNSMode, "udp"), "dns.mode", "names are looked up over UDP, and over TCP where an answer does not fit"},
		{svc.DNSResolver != "", "dns.resolver", "there is one resolver, that of Go"},
		{svc.DNSPreferIPv4, "dns.prefer_ipv4", "both families are tried, and the first to answer counts"},
		{svc.DNSPreferIPv6, "dns.prefer_ipv6", "both families are tried, and the first to answer counts"},
		{svc.ConvertNaNToNull, "json.convert_nan_to_null", notYet},
		{svc.FIPSMode, "security.fips_mode", "set the variable GODEBUG=fips140=on instead"},
		{svc.EnableChunkTrace, "enable_chunk_trace", notYet},
		{svc.HotReloadTimeout != 0, "hot_reload.timeout", "the grace period bounds a reload"},
		{svc.AdaptiveFlush.Enabled, "flush.adaptive", "chunks that are full are sent at once, whatever the interval"},
		{svc.Telemetry.TagRecords, "telemetry", notYet},
		{svc.Storage.KeepRejected && svc.Storage.Path == "", "storage.keep.rejected", "there is no storage.path to keep it in"},
		{svc.Storage.KeepUndelivered && !svc.Storage.KeepRejected, "storage.keep.undelivered", "it needs storage.keep.rejected"},
	} {
		if o.given {
			b.noEffect(option.Pos{File: b.cfg.Path}, "service", o.key, o.why)
		}
	}
}

func (b *builder) inputWithoutEffect(inst *config.Instance, o *config.InputOptions) {
	if o.LogSuppressInterval > 0 {
		b.noEffect(inst.Pos, inst.Title(), "log_suppress_interval", suppressed)
	}
	if o.PauseOnChunksOverlimit && !b.stores(o) {
		b.noEffect(inst.Pos, inst.Title(), "storage.pause_on_chunks_overlimit", "it is for inputs with storage.type filesystem")
	}
	if o.RateGate {
		b.noEffect(inst.Pos, inst.Title(), "rate_gate", notYet)
	}
	if o.Telemetry.TagRecords {
		b.noEffect(inst.Pos, inst.Title(), "telemetry", notYet)
	}
	if strings.EqualFold(o.StorageType, "memrb") {
		b.noEffect(inst.Pos, inst.Title(), "storage.type", "memrb is like memory here: the input waits when it is full, and nothing is dropped")
	}
}

// stores tells whether an input keeps its chunks on disk.
func (b *builder) stores(o *config.InputOptions) bool {
	kind := o.StorageType
	if kind == "" && b.cfg.Service.Storage.Inherit {
		kind = b.cfg.Service.Storage.Type
	}
	return strings.EqualFold(kind, "filesystem")
}

func (b *builder) outputWithoutEffect(inst *config.Instance, o *config.OutputOptions) {
	if o.LogSuppressInterval > 0 {
		b.noEffect(inst.Pos, inst.Title(), "log_suppress_interval", suppressed)
	}
	if o.TotalLimitSize > 0 && b.engine.dir == nil {
		b.noEffect(inst.Pos, inst.Title(), "storage.total_limit_size", "it is about chunks on disk, and there is no storage.path")
	}
}

const suppressed = "the same message is written at most five times in ten seconds"
