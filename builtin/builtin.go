// Package builtin is the one list of all plugins.
package builtin

import (
	"github.com/kagarilog/kagari/filter/aws"
	"github.com/kagarilog/kagari/filter/checklist"
	"github.com/kagarilog/kagari/filter/ecs"
	"github.com/kagarilog/kagari/filter/expect"
	"github.com/kagarilog/kagari/filter/geoip2"
	"github.com/kagarilog/kagari/filter/grep"
	"github.com/kagarilog/kagari/filter/log_to_metrics"
	"github.com/kagarilog/kagari/filter/lua"
	"github.com/kagarilog/kagari/filter/modify"
	"github.com/kagarilog/kagari/filter/multiline"
	"github.com/kagarilog/kagari/filter/nest"
	filterparser "github.com/kagarilog/kagari/filter/parser"
	"github.com/kagarilog/kagari/filter/record_modifier"
	"github.com/kagarilog/kagari/filter/redact"
	"github.com/kagarilog/kagari/filter/rewrite_tag"
	filtersampling "github.com/kagarilog/kagari/filter/sampling"
	filterstdout "github.com/kagarilog/kagari/filter/stdout"
	"github.com/kagarilog/kagari/filter/sysinfo"
	"github.com/kagarilog/kagari/filter/throttle"
	"github.com/kagarilog/kagari/filter/throttle_size"
	"github.com/kagarilog/kagari/filter/type_converter"
	"github.com/kagarilog/kagari/input/cpu"
	"github.com/kagarilog/kagari/input/disk"
	"github.com/kagarilog/kagari/input/dummy"
	"github.com/kagarilog/kagari/input/exec"
	"github.com/kagarilog/kagari/input/fluentbitmetrics"
	inforward "github.com/kagarilog/kagari/input/forward"
	"github.com/kagarilog/kagari/input/head"
	"github.com/kagarilog/kagari/input/health"
	inhttp "github.com/kagarilog/kagari/input/http"
	"github.com/kagarilog/kagari/input/mem"
	"github.com/kagarilog/kagari/input/netif"
	"github.com/kagarilog/kagari/input/proc"
	"github.com/kagarilog/kagari/input/random"
	"github.com/kagarilog/kagari/input/stdin"
	insyslog "github.com/kagarilog/kagari/input/syslog"
	"github.com/kagarilog/kagari/input/tail"
	intcp "github.com/kagarilog/kagari/input/tcp"
	inudp "github.com/kagarilog/kagari/input/udp"
	"github.com/kagarilog/kagari/input/unixsocket"
	"github.com/kagarilog/kagari/output/counter"
	"github.com/kagarilog/kagari/output/exit"
	"github.com/kagarilog/kagari/output/file"
	"github.com/kagarilog/kagari/output/flowcounter"
	outforward "github.com/kagarilog/kagari/output/forward"
	outhttp "github.com/kagarilog/kagari/output/http"
	"github.com/kagarilog/kagari/output/null"
	outstdout "github.com/kagarilog/kagari/output/stdout"
	outsyslog "github.com/kagarilog/kagari/output/syslog"
	outtcp "github.com/kagarilog/kagari/output/tcp"
	outudp "github.com/kagarilog/kagari/output/udp"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/processor/content_modifier"
	"github.com/kagarilog/kagari/processor/metrics"
	"github.com/kagarilog/kagari/processor/opentelemetry_envelope"
	"github.com/kagarilog/kagari/processor/sampling"
	"github.com/kagarilog/kagari/processor/sql"
)

// Registry returns all plugins, in the order in which lists show them.
func Registry() *plugin.Registry {
	return plugin.NewRegistry(
		tail.Def(),
		inforward.Def(),
		inhttp.Def(),
		intcp.Def(),
		inudp.Def(),
		unixsocket.Def(),
		insyslog.Def(),
		stdin.Def(),
		dummy.Def(),
		exec.Def(),
		head.Def(),
		random.Def(),
		health.Def(),
		proc.Def(),
		cpu.Def(),
		mem.Def(),
		disk.Def(),
		netif.Def(),
		fluentbitmetrics.Def(),

		filterparser.Def(),
		grep.Def(),
		record_modifier.Def(),
		modify.Def(),
		nest.Def(),
		lua.Def(),
		rewrite_tag.Def(),
		throttle.Def(),
		throttle_size.Def(),
		filtersampling.Def(),
		multiline.Def(),
		type_converter.Def(),
		checklist.Def(),
		expect.Def(),
		filterstdout.Def(),
		sysinfo.Def(),
		aws.Def(),
		ecs.Def(),
		log_to_metrics.Def(),
		geoip2.Def(),
		redact.Def(),
		redact.Nightfall(),

		content_modifier.Def(),
		sql.Def(),
		opentelemetry_envelope.Def(),
		sampling.Def(),
		metrics.Labels(),
		metrics.Selector(),
		metrics.CumulativeToDelta(),
		metrics.TDA(),

		outstdout.Def(),
		file.Def(),
		null.Def(),
		counter.Def(),
		flowcounter.Def(),
		outforward.Def(),
		outhttp.Def(),
		outtcp.Def(),
		outudp.Def(),
		outsyslog.Def(),
		exit.Def(),
	)
}
