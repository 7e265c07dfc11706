package main

import (
	"fmt"
	"path"
)

// row is one workload: what comes in, the configuration, and what may be spent.
type row struct {
	name  string // for --rows and in the report
	title string // as in DESIGN.md, section 10
	// ours and theirs are the target: CPU time of ours over that of Fluent Bit,
	// for instance 1 and 3 for a third.
	ours, theirs float64
	// needs says what kagari has to have besides tail, forward, json, null and
	// http; it is shown when it refuses the configuration.
	needs   string
	source  source
	sink    bool // records arrive at the sink, not at the null output
	config  string
	parsers string
	streams string
}

// target returns the largest ratio that is good enough.
func (r row) target() float64 { return r.ours / r.theirs }

// maxMemory is the peak memory that any row may use, in bytes.
const maxMemory = 64 << 20

// Sizes and times of DESIGN.md, section 10, that are no rows.
const (
	maxStartMS    = 100
	maxBinarySize = 60 << 20
)

// service is the head of every configuration. Both programs get the same text;
// what differs from run to run is in environment variables.
const service = `[SERVICE]
    Flush        1
    Grace        2
    Log_Level    error
    HTTP_Server  On
    HTTP_Listen  127.0.0.1
    HTTP_Port    ${BENCH_ADMIN_PORT}
    Parsers_File parsers.conf
`

const (
	tailInput = `
[INPUT]
    Name           tail
    Tag            app.bench
    Path           ${BENCH_FILE}
    Read_From_Head On
`
	tailJSON = tailInput + "    Parser         bench_json\n"

	forwardInput = `
[INPUT]
    Name   forward
    Listen 127.0.0.1
    Port   ${BENCH_INPUT_PORT}
`
	nullOutput = `
[OUTPUT]
    Name  null
    Match *
`
	httpOutput = `
[OUTPUT]
    Name     http
    Match    *
    Host     127.0.0.1
    Port     ${BENCH_SINK_PORT}
    URI      /logs
    Format   json
    compress gzip
`
	filters = `
[FILTER]
    Name  grep
    Match app.*
    Regex level ^(info|warn|error)$

[FILTER]
    Name   modify
    Match  app.*
    Rename level severity
    Remove pid
    Add    cluster blue

[FILTER]
    Name       record_modifier
    Match      app.*
    Record     region eu-west-1
    Remove_key trace

[FILTER]
    Name       nest
    Match      app.*
    Operation  nest
    Wildcard   http_*
    Nest_under http
`
	luaFilter = `
[FILTER]
    Name  lua
    Match app.*
    call  shape
    code  function shape(tag, ts, r) r["severity"] = string.upper(r["level"]) r["level"] = nil r["slow"] = r["http_ms"] > 100 return 2, ts, r end
`
	esOutput = `
[OUTPUT]
    Name               es
    Match              *
    Host               127.0.0.1
    Port               ${BENCH_SINK_PORT}
    Logstash_Format    On
    Suppress_Type_Name On
    Compress           gzip
`
	datadogOutput = `
[OUTPUT]
    Name       datadog
    Match      *
    Host       127.0.0.1
    Port       ${BENCH_SINK_PORT}
    TLS        Off
    apikey     0123456789abcdef
    dd_service shop
    dd_source  go
    dd_tags    env:bench
    compress   gzip
`
	sqlOutput = `
[OUTPUT]
    Name     http
    Match    sql
    Host     127.0.0.1
    Port     ${BENCH_SINK_PORT}
    URI      /logs
    Format   json
    compress gzip
`
	sqlTask = `[STREAM_TASK]
    Name picked
    Exec CREATE STREAM picked WITH (tag='sql') AS SELECT seq, log, source, container_name FROM TAG:'app.*' WHERE source = 'stdout';
`
	jsonParser = `[PARSER]
    Name        bench_json
    Format      json
    Time_Key    time
    Time_Format %Y-%m-%dT%H:%M:%S.%L%z
`
	apacheParser = `[PARSER]
    Name        bench_apache
    Format      regex
    Regex       ^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>.*)")?$
    Time_Key    time
    Time_Format %d/%b/%Y:%H:%M:%S %z
`
	criParser = `[PARSER]
    Name        bench_cri
    Format      regex
    Regex       ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$
    Time_Key    time
    Time_Format %Y-%m-%dT%H:%M:%S.%L%z
`
)

// rows are the workloads of DESIGN.md, section 10, in its order.
var rows = []row{
	{
		name: "tail-null", title: "tail, no parser → null", ours: 1, theirs: 3,
		source: jsonLines, config: tailInput + nullOutput,
	},
	{
		name: "tail-json-null", title: "tail JSON → null", ours: 1, theirs: 5,
		source: jsonLines, parsers: jsonParser, config: tailJSON + nullOutput,
	},
	{
		name: "tail-apache-null", title: "tail Apache regex → null", ours: 1, theirs: 4, needs: "regex parser",
		source: apacheLines, parsers: apacheParser, config: tailInput + "    Parser         bench_apache\n" + nullOutput,
	},
	{
		name: "tail-cri-null", title: "tail CRI → null", ours: 1, theirs: 5, needs: "regex parser",
		source: criLines, parsers: criParser, config: tailInput + "    Parser         bench_cri\n" + nullOutput,
	},
	{
		name: "tail-json-filters-null", title: "tail JSON, 4 filters → null", ours: 1, theirs: 8,
		needs:  "filters grep, modify, record_modifier, nest",
		source: jsonLines, parsers: jsonParser, config: tailJSON + filters + nullOutput,
	},
	{
		name: "tail-json-lua-null", title: "tail JSON, Lua → null", ours: 1, theirs: 1.5, needs: "filter lua",
		source: jsonLines, parsers: jsonParser, config: tailJSON + luaFilter + nullOutput,
	},
	{
		name: "tail-json-http", title: "tail JSON → http, gzip", ours: 1, theirs: 4,
		source: jsonLines, parsers: jsonParser, config: tailJSON + httpOutput, sink: true,
	},
	{
		name: "tail-json-es", title: "tail JSON → es, gzip", ours: 1, theirs: 4, needs: "output es",
		source: jsonLines, parsers: jsonParser, config: tailJSON + esOutput, sink: true,
	},
	{
		name: "forward-null", title: "forward messages → null", ours: 1, theirs: 3,
		source: forwardMessages, config: forwardInput + nullOutput,
	},
	{
		name: "forward-packed-null", title: "forward packed → null", ours: 1, theirs: 1,
		source: forwardPacked, config: forwardInput + nullOutput,
	},
	{
		name: "forward-http", title: "forward messages → http, gzip", ours: 1, theirs: 3,
		source: forwardMessages, config: forwardInput + httpOutput, sink: true,
	},
	{
		name: "forward-datadog", title: "forward messages → datadog", ours: 1, theirs: 3, needs: "output datadog",
		source: forwardMessages, config: forwardInput + datadogOutput, sink: true,
	},
	{
		name: "forward-sql-http", title: "forward messages → SQL → http", ours: 1, theirs: 4,
		source: forwardMessages, streams: sqlTask, config: forwardInput + sqlOutput, sink: true,
	},
}

// selectRows returns the rows whose names match a glob of path.Match.
func selectRows(glob string) ([]row, error) {
	var out []row
	for _, r := range rows {
		ok, err := path.Match(glob, r.name)
		if err != nil {
			return nil, fmt.Errorf("match rows with %q: %w", glob, err)
		}
		if ok {
			out = append(out, r)
		}
	}
	if len(out) == 0 && len(selectPatterns(glob)) == 0 {
		names := ""
		for _, r := range rows {
			names += " " + r.name
		}
		for _, p := range patterns {
			names += " " + p.name
		}
		return nil, fmt.Errorf("no row matches %q; there are%s", glob, names)
	}
	return out, nil
}

// pipeline returns the whole text of the configuration.
func (r row) pipeline() string {
	head := service
	if r.streams != "" {
		head += "    Streams_File streams.conf\n"
	}
	return head + r.config
}
