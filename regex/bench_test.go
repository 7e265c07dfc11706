package regex

import (
	"regexp"
	"testing"
)

// A benchLine is a log line with a pattern for it, in Ruby and in RE2 syntax.
var benchLines = []struct{ name, pattern, re2, line string }{
	{
		"apache2",
		`^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>.*)")?$`,
		`^(?P<host>[^ ]*) [^ ]* (?P<user>[^ ]*) \[(?P<time>[^\]]*)\] "(?P<method>\S+)(?: +(?P<path>[^ ]*) +\S*)?" (?P<code>[^ ]*) (?P<size>[^ ]*)(?: "(?P<referer>[^\"]*)" "(?P<agent>.*)")?$`,
		`192.168.2.20 - - [29/Jul/2015:10:27:10 -0300] "GET /cgi-bin/try/?page=3&sort=asc HTTP/1.0" 200 3395 "http://www.example.com/start.html" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"`,
	},
	{
		"nginx",
		`^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")`,
		`^(?P<remote>[^ ]*) (?P<host>[^ ]*) (?P<user>[^ ]*) \[(?P<time>[^\]]*)\] "(?P<method>\S+)(?: +(?P<path>[^\"]*?)(?: +\S*)?)?" (?P<code>[^ ]*) (?P<size>[^ ]*)(?: "(?P<referer>[^\"]*)" "(?P<agent>[^\"]*)")`,
		`203.0.113.7 - alice [29/Jul/2015:10:27:10 +0000] "GET /assets/app.3f2a.js?v=12 HTTP/1.1" 200 61243 "https://www.example.com/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15"`,
	},
	{
		"syslog",
		`/^\<(?<pri>[0-9]+)\>(?<time>[^ ]* {1,2}[^ ]* [^ ]*) (?<host>[^ ]*) (?<ident>[a-zA-Z0-9_\/\.\-]*)(?:\[(?<pid>[0-9]+)\])?(?:[^\:]*\:)? *(?<message>.*)$/`,
		`^\<(?P<pri>[0-9]+)\>(?P<time>[^ ]* {1,2}[^ ]* [^ ]*) (?P<host>[^ ]*) (?P<ident>[a-zA-Z0-9_\/\.\-]*)(?:\[(?P<pid>[0-9]+)\])?(?:[^\:]*\:)? *(?P<message>.*)$`,
		`<34>Oct 11 22:14:15 mymachine sshd[4721]: Failed password for invalid user admin from 192.0.2.17 port 52144 ssh2`,
	},
	{
		"cri",
		`^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$`,
		`^(?P<time>[^ ]+) (?P<stream>stdout|stderr) (?P<logtag>[^ ]*) (?P<message>.*)$`,
		`2024-03-07T09:30:12.123456789Z stdout F {"level":"info","msg":"request served","path":"/api/v1/items","status":200,"took":"1.532ms","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}`,
	},
}

func BenchmarkFind(b *testing.B) {
	for _, l := range benchLines {
		b.Run(l.name, func(b *testing.B) {
			re, line := MustCompile(l.pattern), []byte(l.line)
			caps := make([]int, 0, 2*(re.NumGroups()+1))
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := re.Find(line, caps); !ok {
					b.Fatal("no match")
				}
			}
		})
	}
}

// BenchmarkStdlib is the yardstick.
func BenchmarkStdlib(b *testing.B) {
	for _, l := range benchLines {
		b.Run(l.name, func(b *testing.B) {
			re, line := regexp.MustCompile(l.re2), []byte(l.line)
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				if re.FindSubmatchIndex(line) == nil {
					b.Fatal("no match")
				}
			}
		})
	}
}
