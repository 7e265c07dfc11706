package main

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"text/tabwriter"
	"time"

	"github.com/kagarilog/kagari/regex"
)

// A pattern is a regular expression that takes a well-known line apart, in
// Ruby's syntax and in that of the standard library. It is measured in this
// process, as the start of another one would cost more.
type pattern struct {
	name, ruby, re2, line string
}

var patterns = []pattern{
	{
		"regex-apache2",
		`^(?<client>[^ ]*) [^ ]* (?<login>[^ ]*) \[(?<when>[^\]]*)\] "(?<verb>\S+)(?: +(?<target>[^ ]*) +\S*)?" (?<status>[^ ]*) (?<bytes>[^ ]*)(?: "(?<from>[^"]*)" "(?<browser>.*)")?$`,
		`^(?P<client>[^ ]*) [^ ]* (?P<login>[^ ]*) \[(?P<when>[^\]]*)\] "(?P<verb>\S+)(?: +(?P<target>[^ ]*) +\S*)?" (?P<status>[^ ]*) (?P<bytes>[^ ]*)(?: "(?P<from>[^"]*)" "(?P<browser>.*)")?$`,
		`192.0.2.20 - - [29/Jul/2015:10:27:10 -0300] "GET /cgi-bin/try/?page=3&sort=asc HTTP/1.0" 200 3395 "http://www.example.com/start.html" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"`,
	},
	{
		"regex-nginx",
		`^(?<client>[^ ]*) (?<vhost>[^ ]*) (?<login>[^ ]*) \[(?<when>[^\]]*)\] "(?<verb>\S+)(?: +(?<target>[^"]*?)(?: +\S*)?)?" (?<status>[^ ]*) (?<bytes>[^ ]*)(?: "(?<from>[^"]*)" "(?<browser>[^"]*)")`,
		`^(?P<client>[^ ]*) (?P<vhost>[^ ]*) (?P<login>[^ ]*) \[(?P<when>[^\]]*)\] "(?P<verb>\S+)(?: +(?P<target>[^"]*?)(?: +\S*)?)?" (?P<status>[^ ]*) (?P<bytes>[^ ]*)(?: "(?P<from>[^"]*)" "(?P<browser>[^"]*)")`,
		`203.0.113.7 - alice [29/Jul/2015:10:27:10 +0000] "GET /assets/app.3f2a.js?v=12 HTTP/1.1" 200 61243 "https://www.example.com/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15"`,
	},
	{
		"regex-syslog",
		`^<(?<pri>\d+)>(?<when>\S+ {1,2}\S+ \S+) (?<node>[^ ]*) (?<tag>[\w.\/-]*)(?:\[(?<pid>\d+)\])?(?:[^:]*:)? *(?<text>.*)$`,
		`^<(?P<pri>\d+)>(?P<when>\S+ {1,2}\S+ \S+) (?P<node>[^ ]*) (?P<tag>[\w.\/-]*)(?:\[(?P<pid>\d+)\])?(?:[^:]*:)? *(?P<text>.*)$`,
		`<34>Oct 11 22:14:15 mymachine sshd[4721]: Failed password for invalid user admin from 192.0.2.17 port 52144 ssh2`,
	},
	{
		"regex-cri",
		`^(?<when>\S+) (?<stream>stdout|stderr) (?<flags>[^ ]*) (?<text>.*)$`,
		`^(?P<when>\S+) (?P<stream>stdout|stderr) (?P<flags>[^ ]*) (?P<text>.*)$`,
		`2024-03-07T09:30:12.123456789Z stdout F {"level":"info","msg":"request served","path":"/api/v1/items","status":200,"took":"1.532ms","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}`,
	},
}

// leastFaster is how many times faster than the standard library the engine of
// Ruby's dialect must be.
const leastFaster = 8

// speed is what a pattern gave.
type speed struct {
	Name   string  `json:"name"`
	Ours   float64 `json:"ns"`
	Stdlib float64 `json:"stdlib_ns"`
	Faster float64 `json:"times_faster"`
	Status status  `json:"status"`
}

// The fastest of many short rounds counts, both engines in turn: whatever else
// the machine does makes a round slower and none faster.
const (
	rounds    = 40
	roundTime = 5 * time.Millisecond
)

// measure compares both engines.
func (p pattern) measure() (*speed, error) {
	ruby, err := regex.Compile(p.ruby)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", p.name, err)
	}
	re2, err := regexp.Compile(p.re2)
	if err != nil {
		return nil, fmt.Errorf("compile %s for the standard library: %w", p.name, err)
	}
	line := []byte(p.line)
	caps := make([]int, 0, 2*(ruby.NumGroups()+1))
	ours := func() bool { _, ok := ruby.Find(line, caps); return ok }
	theirs := func() bool { return re2.FindSubmatchIndex(line) != nil }
	if !ours() || !theirs() {
		return nil, fmt.Errorf("%s does not fit its line", p.name)
	}
	s := &speed{Name: p.name, Status: passed}
	for range rounds {
		s.Ours = fastest(s.Ours, ours)
		s.Stdlib = fastest(s.Stdlib, theirs)
	}
	if s.Faster = s.Stdlib / s.Ours; s.Faster < leastFaster {
		s.Status = failed
	}
	return s, nil
}

// fastest calls f for a round and returns the nanoseconds of one call, or best
// if that is less and not 0.
func fastest(best float64, f func() bool) float64 {
	n, start := 0, time.Now()
	for time.Since(start) < roundTime {
		for range 100 {
			f()
		}
		n += 100
	}
	ns := float64(time.Since(start).Nanoseconds()) / float64(n)
	if best == 0 || ns < best {
		return ns
	}
	return best
}

// selectPatterns returns the patterns whose names match a glob of path.Match.
func selectPatterns(glob string) []pattern {
	var out []pattern
	for _, p := range patterns {
		if ok, _ := path.Match(glob, p.name); ok { // selectRows has seen that the glob is good.
			out = append(out, p)
		}
	}
	return out
}

// speedTable prints the comparison for people.
func speedTable(out io.Writer, speeds []*speed) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nregular expression\tGo's regexp\tkagari\ttimes faster\ttarget\t")
	for _, s := range speeds {
		fmt.Fprintf(w, "%s\t%.0f ns\t%.0f ns\t%.1f\t%d\t%s\n", s.Name, s.Stdlib, s.Ours, s.Faster, leastFaster, s.Status)
	}
	return w.Flush()
}
