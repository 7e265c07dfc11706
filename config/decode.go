package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Decode stores the options of the instance: those that the plugin declares
// through own, the others through common, which are those of every instance of
// its kind. It returns all problems.
//
// As in Fluent Bit, of a repeated common option the last counts; an empty value
// means that an option of an input or output is not given, but a common one is
// refused; network options that the plugin does not have are ignored.
func (i *Instance) Decode(common, own []option.Field) option.Problems {
	d := &decoder{inst: i, own: own, common: common}
	props := i.flatProps()
	for _, p := range i.address {
		if slices.ContainsFunc(props, func(q option.Property) bool { return strings.EqualFold(q.Key, p.Key) }) {
			continue
		}
		if fieldOf(own, p.Key) != nil {
			props = append(props, p)
		} else if p.Key != "host" || fieldOf(own, "listen") == nil {
			d.report(option.Warning, p, "", "the plugin has no %s, so that this part of its address is ignored", p.Key)
		}
	}
	var kept []option.Property
	for n, p := range props {
		if d.keep(p, props[n+1:]) {
			kept = append(kept, p)
		}
	}
	fields := slices.Clone(own)
	for _, f := range common {
		if fieldOf(own, f.Name) == nil {
			fields = append(fields, f)
		}
	}
	ps := slices.Concat(d.ps, option.Decode(fields, kept, i.Title(), i.Pos))
	slices.SortStableFunc(ps, func(a, b option.Problem) int { return comparePos(a.Pos, b.Pos) })
	return ps
}

// comparePos orders places within a file.
func comparePos(a, b option.Pos) int {
	if a.File != b.File || a.Line == b.Line {
		return 0
	}
	return a.Line - b.Line
}

// flatProps returns the properties with each list of texts as one property for
// every entry. Processors that are no filters take lists as they are.
func (i *Instance) flatProps() []option.Property {
	if i.Kind == plugin.KindProcessor {
		return i.Props
	}
	var out []option.Property
	for _, p := range i.Props {
		if p.Value.Shape != option.List {
			out = append(out, p)
			continue
		}
		for _, item := range p.Value.Items {
			out = append(out, option.Property{Key: p.Key, Value: item, Pos: p.Pos})
		}
	}
	return out
}

type decoder struct {
	inst        *Instance
	own, common []option.Field
	ps          option.Problems
}

func (d *decoder) report(sev option.Severity, p option.Property, fix, format string, args ...any) {
	d.ps = append(d.ps, option.Problem{Severity: sev, Pos: p.Pos, Section: d.inst.Title(), Key: p.Key,
		Message: fmt.Sprintf(format, args...), Fix: fix})
}

// fieldOf finds the field that takes key: an exact name before a prefix.
func fieldOf(fields []option.Field, key string) *option.Field {
	var prefix *option.Field
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Prefix:
			if len(key) > len(f.Name) && strings.EqualFold(key[:len(f.Name)], f.Name) {
				prefix = f
			}
		case strings.EqualFold(f.Name, key), slices.ContainsFunc(f.Aliases, func(a string) bool { return strings.EqualFold(a, key) }):
			return f
		}
	}
	return prefix
}

// keep tells whether a property goes to a field. What it does not keep it has
// reported.
func (d *decoder) keep(p option.Property, later []option.Property) bool {
	if p.Value.Shape == option.List && d.inst.Kind != plugin.KindProcessor {
		d.report(option.Error, p, "", "option %q: a list stands in a list where text is expected", p.Key)
		return false
	}
	key := strings.ToLower(p.Key)
	own, common := fieldOf(d.own, key), fieldOf(d.common, key)
	network := d.network(key)
	if own == nil && common == nil {
		return d.keepUnknown(p, key, network)
	}
	again := slices.IndexFunc(later, func(q option.Property) bool { return strings.EqualFold(q.Key, key) })
	if again >= 0 && (own == nil || network && !strings.HasPrefix(key, "net.")) {
		d.report(option.Warning, p, "", "option %q is given again in line %d; the last one counts", p.Key, later[again].Pos.Line)
		return false
	}
	empty := p.Value.Shape == option.Scalar && p.Value.Text == ""
	switch kind := d.inst.Kind; {
	case !empty || kind == plugin.KindFilter || kind == plugin.KindProcessor:
		return true
	case own != nil:
		d.report(option.Warning, p, "", "option %q is empty and counts as not given", p.Key)
		return false
	case key == "match" || key == "retry_limit":
		return true
	}
	d.report(option.Error, p, "give it a value or remove it", "option %q is empty", p.Key)
	return false
}

// keepUnknown handles a key that no field takes: true leaves it to
// option.Decode, which refuses it.
func (d *decoder) keepUnknown(p option.Property, key string, network bool) bool {
	switch {
	case d.inst.Kind == plugin.KindProcessor:
		return true
	case key == "active" || key == "condition":
		d.report(option.Warning, p, "", "option %q has no meaning here and is ignored", p.Key)
		return false
	case !network:
		return true
	case key == "tls":
		if on, err := option.ParseBool(p.Value.Text); err == nil && on {
			d.report(option.Error, p, "remove it", "the plugin %s does not support TLS", d.inst.Name)
			return false
		}
	case strings.HasPrefix(key, "net.") && !slices.Contains(netOptions, key):
		return true
	}
	d.report(option.Warning, p, "remove it", "option %q has no meaning for %s and is ignored", p.Key, d.inst.Name)
	return false
}

// netOptions are the options that Fluent Bit takes for every output, whether
// it connects to anything or not.
var netOptions = []string{"net.dns.mode", "net.dns.resolver", "net.dns.prefer_ipv4", "net.dns.prefer_ipv6",
	"net.keepalive", "net.keepalive_idle_timeout", "net.keepalive_max_recycle", "net.tcp_keepalive",
	"net.tcp_keepalive_time", "net.tcp_keepalive_interval", "net.tcp_keepalive_probes", "net.io_timeout",
	"net.connect_timeout", "net.connect_timeout_log_error", "net.source_address", "net.max_worker_connections", "net.proxy_env_ignore"}

// network tells whether the key is one that Fluent Bit's core takes for every
// input or output before the plugin sees it.
func (d *decoder) network(key string) bool {
	switch d.inst.Kind {
	case plugin.KindInput:
		if key == "listen" {
			return true
		}
	case plugin.KindOutput:
		if strings.HasPrefix(key, "net.") {
			return true
		}
	default:
		return false
	}
	return key == "host" || key == "port" || key == "ipv6" || key == "tls" ||
		strings.HasPrefix(key, "tls.") || strings.HasPrefix(key, "oauth2")
}
