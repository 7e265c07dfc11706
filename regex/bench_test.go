package regex

import "testing"

// A benchLine is a line of a kind of log that everybody has, with a pattern that takes it apart.
// The command bench compares such patterns with the standard library.
var benchLines = []struct{ name, pattern, line string }{
	{
		"apache2",
		`^(?<client>[^ ]*) [^ ]* (?<login>[^ ]*) \[(?<when>[^\]]*)\] "(?<verb>\S+)(?: +(?<target>[^ ]*) +\S*)?" (?<status>[^ ]*) (?<bytes>[^ ]*)(?: "(?<from>[^"]*)" "(?<browser>.*)")?$`,
		`192.168.2.20 - - [29/Jul/2015:10:27:10 -0300] "GET /cgi-bin/try/?page=3&sort=asc HTTP/1.0" 200 3395 "http://www.example.com/start.html" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"`,
	},
	{
		"nginx",
		`^(?<client>[^ ]*) (?<vhost>[^ ]*) (?<login>[^ ]*) \[(?<when>[^\]]*)\] "(?<verb>\S+)(?: +(?<target>[^"]*?)(?: +\S*)?)?" (?<status>[^ ]*) (?<bytes>[^ ]*)(?: "(?<from>[^"]*)" "(?<browser>[^"]*)")`,
		`203.0.113.7 - alice [29/Jul/2015:10:27:10 +0000] "GET /assets/app.3f2a.js?v=12 HTTP/1.1" 200 61243 "https://www.example.com/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15"`,
	},
	{
		"syslog",
		`/^<(?<pri>\d+)>(?<when>\S+ {1,2}\S+ \S+) (?<node>[^ ]*) (?<tag>[\w.\/-]*)(?:\[(?<pid>\d+)\])?(?:[^:]*:)? *(?<text>.*)$/`,
		`<34>Oct 11 22:14:15 mymachine sshd[4721]: Failed password for invalid user admin from 192.0.2.17 port 52144 ssh2`,
	},
	{
		"cri",
		`^(?<when>\S+) (?<stream>stdout|stderr) (?<flags>[^ ]*) (?<text>.*)$`,
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

// BenchmarkMatch is what grep does with lines that it lets pass and lines that it does not.
func BenchmarkMatch(b *testing.B) {
	line := []byte(benchLines[0].line)
	for _, bench := range []struct{ name, pattern string }{
		{"literal", `Safari`},
		{"literal_absent", `Firefox`},
		{"dotted", `^.*Safari.*$`},
		{"fold", `(?i)safari`},
		{"fold_absent", `(?i)firefox`},
		{"alternatives_absent", `error|fatal|panic`},
		{"lookahead", `^(?!.*healthz)`},
		{"class", `\d{3} \d+ "http`},
		{"continuation", `^\s+at `},
	} {
		b.Run(bench.name, func(b *testing.B) {
			re := MustCompile(bench.pattern)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				re.Match(line)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, l := range benchLines {
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				MustCompile(l.pattern)
			}
		})
	}
}
