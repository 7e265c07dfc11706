package parser

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// definition is a parser that exists without a configuration.
type definition struct {
	name       string
	format     string
	regex      string
	timeKey    string
	timeFormat string
	timeKeep   bool
}

// Layouts that several of the definitions have.
const (
	accessTime  = "%d/%b/%Y:%H:%M:%S %z"
	rfc3339Time = "%Y-%m-%dT%H:%M:%S.%L%z"
	utcTime     = "%Y-%m-%dT%H:%M:%S.%L"
	bsdTime     = "%b %d %H:%M:%S"
)

// The pieces of access logs. A word ends at a blank, and what stands in quotes
// or brackets at their end.
const (
	skipped = `[^ ]*`
	// request is the first line of an HTTP request. Path and protocol may be
	// missing, and a path may hold blanks.
	request = `"(?<method>\S+)(?: +(?<path>[^"]*?)(?: +\S*)?)?"`
	// proxied is a request with its protocol.
	proxied = `"(?<method>\S+)(?: +(?<path>[^"]*?)(?: +\S*)?)? (?<protocol>\S+)"`
	// syslogTail is the program, its process and the text of a message of the
	// older syslog protocol, RFC 3164.
	syslogTail = `(?<ident>[-\w./]*)(?:\[(?<pid>\d+)\])?(?:[^:]*:)? *(?<message>.*)$`
	syslogHead = `^<(?<pri>\d+)>(?<time>[^ ]* {1,2}[^ ]* [^ ]*) `
)

func word(name string) string      { return `(?<` + name + `>[^ ]*)` }
func quoted(name string) string    { return `"(?<` + name + `>[^"]*)"` }
func bracketed(name string) string { return `\[(?<` + name + `>[^\]]*)\]` }

// tight is quoted text without blanks.
func tight(name string) string { return `"(?<` + name + `>[^ ]*)"` }

// words is pieces with a blank between each two.
func words(pieces ...string) string { return strings.Join(pieces, " ") }

// definitions are the parsers that Fluent Bit ships in its parsers.conf, with
// the same names, fields and times, and ltsv.
var definitions = []definition{
	{name: "apache", format: "regex", timeKey: "time", timeFormat: accessTime,
		regex: words("^"+word("host"), skipped, word("user"), bracketed("time"), request, word("code"), word("size")) +
			`(?: ` + words(quoted("referer"), quoted("agent")) + `)?$`},
	{name: "apache2", format: "regex", timeKey: "time", timeFormat: accessTime,
		regex: words("^"+word("host"), skipped, word("user"), bracketed("time"),
			`"(?<method>\S+)(?: +`+word("path")+` +\S*)?"`, word("code"), word("size")) +
			`(?: ` + words(quoted("referer"), `"(?<agent>.*)"`) + `)?$`},
	{name: "apache_error", format: "regex",
		regex: `^\[[^ ]* (?<time>[^\]]*)\] ` + bracketed("level") + `(?: \[pid (?<pid>[^\]]*)\])?(?: \[client (?<client>[^\]]*)\])? (?<message>.*)$`},
	{name: "nginx", format: "regex", timeKey: "time", timeFormat: accessTime,
		regex: words("^"+word("remote"), word("host"), word("user"), bracketed("time"), request, word("code"), word("size")) +
			`(?: ` + words(quoted("referer"), quoted("agent")) + `)`},
	{name: "k8s-nginx-ingress", format: "regex", timeKey: "time", timeFormat: accessTime,
		regex: words("^"+word("host"), "-", word("user"), bracketed("time"), request, word("code"), word("size"), quoted("referer"), quoted("agent"),
			word("request_length"), word("request_time"), `\[`+word("proxy_upstream_name")+`\]`) +
			` (?:\[` + word("proxy_alternative_upstream_name") + `\] )?` +
			words(word("upstream_addr"), word("upstream_response_length"), word("upstream_response_time"), word("upstream_status"), word("reg_id"))},
	{name: "json", format: "json", timeKey: "time", timeFormat: accessTime},
	{name: "logfmt", format: "logfmt"},
	{name: "ltsv", format: "ltsv"},
	{name: "docker", format: "json", timeKey: "time", timeFormat: utcTime, timeKeep: true},
	{name: "docker-daemon", format: "regex", timeKey: "time", timeFormat: utcTime, timeKeep: true,
		regex: words(`time=`+tight("time"), `level=`+word("level"), `msg="(?<msg>[^ ].*)"`)},
	{name: "syslog-rfc5424", format: "regex", timeKey: "time", timeFormat: rfc3339Time, timeKeep: true,
		regex: `^<(?<pri>\d{1,5})>1 (?<time>[^ ]+) (?<host>[^ ]+) (?<ident>[^ ]+) (?<pid>[-\d]+) (?<msgid>[^ ]+) (?<extradata>\[.*?\]|-) (?<message>.+)$`},
	{name: "syslog-rfc3164-local", format: "regex", timeKey: "time", timeFormat: bsdTime, timeKeep: true,
		regex: syslogHead + syslogTail},
	{name: "syslog-rfc3164", format: "regex", timeKey: "time", timeFormat: bsdTime, timeKeep: true,
		regex: syslogHead + word("host") + ` ` + syslogTail},
	{name: "mongodb", format: "regex", timeKey: "time", timeFormat: utcTime, timeKeep: true,
		regex: `^` + word("time") + `\s+(?<severity>\w)\s+(?<component>[^ ]+)\s+\[(?<context>[^\]]+)\]\s+(?<message>.*?) *(?<ms>\d+)?(?::?ms)?$`},
	{name: "envoy", format: "regex", timeKey: "start_time", timeFormat: rfc3339Time, timeKeep: true,
		regex: words("^"+bracketed("start_time"), proxied, word("code"), word("response_flags"), word("bytes_received"), word("bytes_sent"),
			word("duration"), word("x_envoy_upstream_service_time"), tight("x_forwarded_for"), quoted("user_agent"), quoted("request_id"),
			tight("authority"), tight("upstream_host"))},
	{name: "istio-envoy-proxy", format: "regex", timeKey: "start_time", timeFormat: rfc3339Time, timeKeep: true,
		regex: words("^"+bracketed("start_time"), proxied, word("response_code"), word("response_flags"), word("response_code_details"),
			word("connection_termination_details"), tight("upstream_transport_failure_reason"), word("bytes_received"), word("bytes_sent"),
			word("duration"), word("x_envoy_upstream_service_time"), tight("x_forwarded_for"), quoted("user_agent"), quoted("x_request_id"),
			tight("authority"), tight("upstream_host"), word("upstream_cluster"), word("upstream_local_address"),
			word("downstream_local_address"), word("downstream_remote_address"), word("requested_server_name"), word("route_name")) + `$`},
	{name: "cri", format: "regex", timeKey: "time", timeFormat: rfc3339Time, timeKeep: true,
		regex: `^(?<time>[^ ]+) (?<stream>stdout|stderr) ` + words(word("logtag"), `(?<message>.*)$`)},
	// The name of a pod's log file. A pod's name is a DNS subdomain, RFC 1123.
	{name: "kube-custom", format: "regex",
		regex: `(?<tag>[^.]+)?\.?(?<pod_name>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)` +
			`_(?<namespace_name>[^_]+)_(?<container_name>.+)-(?<docker_id>[a-z0-9]{64})\.log$`},
}

// BuiltinNames returns the names of the parsers that exist without being
// configured.
func BuiltinNames() []string {
	var names []string
	for _, d := range definitions {
		names = append(names, d.name)
	}
	return names
}

// NewBuiltin makes a parser that exists without being configured, or returns nil
// if there is none of that name. One of the configuration takes its place.
func NewBuiltin(name string) *Parser {
	i := slices.IndexFunc(definitions, func(d definition) bool { return d.name == name })
	if i < 0 {
		return nil
	}
	d := definitions[i]
	p, ps := New(name, []option.Property{
		option.Prop("format", d.format),
		option.Prop("regex", d.regex),
		option.Prop("time_key", d.timeKey),
		option.Prop("time_format", d.timeFormat),
		option.Prop("time_keep", fmt.Sprint(d.timeKeep)),
	}, option.Pos{})
	if p == nil {
		panic("BUG: built-in parser: " + ps.Err().Error())
	}
	p.builtin = true
	return p
}
