package redact

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/regex"
)

// all makes a finder of everything.
func all(t testing.TB) *finder {
	t.Helper()
	var on [detectors]bool
	for i := range on {
		on[i] = true
	}
	return newTestFinder(t, on)
}

func newTestFinder(t testing.TB, on [detectors]bool, rules ...rule) *finder {
	t.Helper()
	var c Config
	c.Fields()
	secrets, err := parsePatterns(c.SecretKeys)
	if err != nil {
		t.Fatal(err)
	}
	return newFinder(on, secrets, rules, func(r *rule, err error) { t.Errorf("rule %s: %v", r.name, err) })
}

// marked returns text with the findings in the form [detector:finding].
func marked(f *finder, text string) string {
	var caps []int
	var out strings.Builder
	at := 0
	for _, x := range f.find(nil, &caps, []byte(text)) {
		name := "rule"
		if x.by < detectors {
			name = detectorNames[x.by]
		}
		out.WriteString(text[at:x.start] + "[" + name + ":" + text[x.start:x.end] + "]")
		at = x.end
	}
	return out.String() + text[at:]
}

func TestWhatIsFound(t *testing.T) {
	finder := all(t)
	f := func(want string) {
		t.Helper()
		text := want
		for _, name := range append(detectorNames[:], "rule") {
			text = strings.ReplaceAll(text, "["+name+":", "⟦")
		}
		var plain strings.Builder
		depth := 0
		for _, r := range text {
			switch {
			case r == '⟦':
				depth++
			case r == ']' && depth > 0:
				depth--
			default:
				plain.WriteRune(r)
			}
		}
		if got := marked(finder, plain.String()); got != want {
			t.Errorf("in %q\n%q is found, expected\n%q", plain.String(), got, want)
		}
	}
	f("")
	f("nothing here, at 12:34:56 on 2024-01-15T10:20:30.123Z (took 1.5ms, v1.2.3)")

	// Card numbers. These are test numbers of the issuers.
	f("pay [card:4111111111111111] now")
	f("[card:4111 1111 1111 1111] [card:5500-0000-0000-0004] [card:378282246310005],[card:3782 822463 10005]")
	f("[card:6011111111111117] [card:30569309025904] [card:3530111333300000] [card:4222222222222] [card:2223003122003222]")
	f("id 1234 [card:4111 1111 1111 1111] 99")
	f("4111111111111112 is wrong, 41111111111111111111 is too long, x4111111111111111 is a name")
	f("1700000000123456789 1700000000123 are times, 0000000000000000 is nothing")
	f("4111-1111 1111-1111 has two kinds of separators, 41 11 11 11 11 11 11 11 has short groups")
	f("[card:4111111111111111]\n[card:4111111111111111]")

	// Addresses.
	f("from [email:jane.doe+x@mail.example.co.uk], to <[email:a@b.io]>.")
	f("[email:müller@exämple.de] and [email:x@xn--p1ai.xn--p1ai]")
	f("a@b, @x.com, user@host, x@[ipv4:1.2.3.4], a@b.c, a@.com, 5@ 3.50")
	f("from [ipv4:10.0.0.1]:8080 to [ipv4:255.255.255.255]. (http://[ipv4:192.168.1.1]/x)")
	f("version 1.2.3, 1.2.3.4.5, 256.1.1.1, 1.2.3.400, v1.2.3.4, 01.2.3.4, 1.2.3.4a")
	f("[ipv6:2001:db8::1], \\[[ipv6:::1]]:80 [ipv6:fe80::a1b2]%eth0 [ipv6:::ffff:1.2.3.4] [ipv6:2001:0db8:85a3:0000:0000:8a2e:0370:7334].")
	f("std::string a::b A::B 0a:1b:2c:3d:4e:5f 12:34:56 :: 1:2 1::2::3 12345::1 a::b::1")

	// Tokens. None of them was ever valid.
	f("key [aws_key:AKIAIOSFODNN7EXAMPLE] [aws_key:ASIAIOSFODNN7EXAMPLE] XAKIAIOSFODNN7EXAMPLE AKIAIOSFODNN7EXAMPL")
	f("[jwt:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U] eyJx.eyJ.x eyJhbGciOiJIUzI1NiJ9.x")
	f("Bearer [bearer:abc123.def~456+/=], BEARER [bearer:1234567890abcdef], bearer authentication, forbearer x1234567890")
	f("[github_token:ghp_abcdefghijklmnopqrstuvwxyz0123456789] [github_token:github_pat_11ABCDEFG0abcdefghij_klmnop] through_put ghp_short")
	f("[slack_token:xoxb-123456789012-abcdefghijkl] [slack_token:xapp-1-A0123456789-abc] foxo-x")
	f("[api_key:glpat-abcdefghij0123456789] [api_key:sk_live_abcdefghijklmnop] [api_key:AIzaabcdefghijklmnopqrstuvwxyz012345678]")
	f("x [private_key:-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----]\ny")
	f("[private_key:-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----]\\ny -----BEGIN CERTIFICATE----- x -----END CERTIFICATE-----")
	f("[private_key:-----BEGIN EC PRIVATE KEY-----\nMIIE and no end]")

	// Names in text.
	f("password=[secret:hunter2] user=bob&pwd=[secret:x]&z=1")
	f(`{"password": "[secret:hun\"ter2]", "user": "bob", "api_key":"[secret:k]"}`)
	f(`{\"password\":\"[secret:hunter2]\",\"a\":1}`)
	f("db.PASSWORD = [secret:x], SecretKey:[secret:abc]; my_token => '[secret:a b]'")
	f("Authorization: Basic [secret:dXNlcjpwYXNz]\r\nAuthorization: Bearer [secret:abc]\r\nCookie: [secret:a=b; c=d]\r\nSet-Cookie: [secret:x]")
	f(`{"cookie":"[secret:a=b; c=d]","h":"Cookie: [secret:a=b; c=d]","x":1}`)
	f("Authorization: [secret:Digest username=\"a\", response=\"b\"]\nauthorization=[secret:AWS4-HMAC-SHA256 Credential=x, Signature=y]")
	f(`{"Authorization":"[secret:AWS4-HMAC-SHA256 Credential=x, Signature=y]","a":1}`)
	f(`password=, "password":null, "secret": {"a":1}, passwords changed, password is x, passport=1`)
	f("postgres://bob:[secret:p@ss]@db.example.com/x https://[email:bob@example.com]/ http://a.b:80/")
	f("password=[secret:jane@example.com]")
	f("mail [email:a@b.com];[email:c@d.com] [email:1.2.3.4@example.com]")
}

func TestOnlyWhatIsOnIsFound(t *testing.T) {
	const text = "4111111111111111 a@b.com 10.0.0.1 ::1 AKIAIOSFODNN7EXAMPLE password=x xoxb-123456789012-abcdefghijkl"
	for i, want := range map[int]string{
		card:         "[card:4111111111111111] a@b.com 10.0.0.1 ::1 AKIAIOSFODNN7EXAMPLE password=x xoxb-123456789012-abcdefghijkl",
		ipv6Address:  "4111111111111111 a@b.com 10.0.0.1 [ipv6:::1] AKIAIOSFODNN7EXAMPLE password=x xoxb-123456789012-abcdefghijkl",
		awsKey:       "4111111111111111 a@b.com 10.0.0.1 ::1 [aws_key:AKIAIOSFODNN7EXAMPLE] password=x xoxb-123456789012-abcdefghijkl",
		emailAddress: "4111111111111111 [email:a@b.com] 10.0.0.1 ::1 AKIAIOSFODNN7EXAMPLE password=x xoxb-123456789012-abcdefghijkl",
		pemKey:       text,
	} {
		var on [detectors]bool
		on[i] = true
		if got := marked(newTestFinder(t, on), text); got != want {
			t.Errorf("with %s\n%q is found, expected\n%q", detectorNames[i], got, want)
		}
	}
}

func TestOwnRules(t *testing.T) {
	var on [detectors]bool
	on[ipv4Address] = true
	f := newTestFinder(t, on,
		rule{name: "employee", regex: regex.MustCompile(`\bE[0-9]{4}\b`)},
		rule{name: "session", regex: regex.MustCompile(`session (\w+)`), group: 1},
		rule{name: "empty", regex: regex.MustCompile(`x*`)})
	if got, want := marked(f, "E1234 E12345 session abc xx 10.0.0.1 E9999"), "[rule:E1234] E12345 session [rule:abc] [rule:xx] [ipv4:10.0.0.1] [rule:E9999]"; got != want {
		t.Errorf("%q is found, expected %q", got, want)
	}
}

func TestOverlapsAreMerged(t *testing.T) {
	got := new(finder).merge([]finding{{9, 9, 0}, {5, 8, 1}, {0, 4, 2}, {2, 6, 3}, {0, 2, 4}, {6, 7, 5}}, 1)
	if want := []finding{{9, 9, 0}, {0, 4, 2}, {4, 6, 3}, {6, 8, 1}}; !slices.Equal(got, want) {
		t.Errorf("the findings are %v, expected %v", got, want)
	}
	f := finder{weights: []int{0, 2, 0, 1}}
	got = f.merge([]finding{{0, 9, 2}, {3, 4, 3}, {5, 12, 1}}, 0)
	if want := []finding{{0, 9, 1}, {9, 12, 1}}; !slices.Equal(got, want) {
		t.Errorf("with weights the findings are %v, expected %v", got, want)
	}
}

func TestPatterns(t *testing.T) {
	f := func(pattern, key string, want bool) {
		t.Helper()
		ps, err := parsePatterns([]string{"zzz", pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := ps.match([]byte(key)); got != want {
			t.Errorf("%q matches %q: %t", pattern, key, got)
		}
	}
	f("token", "token", true)
	f("token", "TOKEN", true)
	f("token", "tokens", false)
	f("*_token", "access_token", true)
	f("*_token", "token", false)
	f("*pass*", "DBPassword", true)
	f("a*b*c", "aXbYc", true)
	f("a*b*c", "abc", true)
	f("a*bc*c", "abc", false)
	f("a*", "b", false)
	f("*", "", true)
	f("**", "x", true)
	f("1*", "1x", true)
	f("a*a", "a", false)
	f("http.*", "HTTP.request", true)
	f("*x", strings.Repeat("y", 300)+"x", false) // Longer than keys are.
	if _, err := parsePatterns([]string{""}); err == nil {
		t.Error("an empty pattern is taken")
	}
}

// FuzzFind checks that findings are in the text, in order and apart, and that every
// plain card number is among them.
func FuzzFind(f *testing.F) {
	for _, s := range []string{
		"4111 1111 1111 1111", "a@b.com 1.2.3.4 ::1 password=x", "-----BEGIN PRIVATE KEY-----", "eyJhbGciOiJIUzI1NiJ9.eyJ9.x",
		`{\"password\":\"x\\"}`, "https://a:b@c/", "xoxb-1234567890 ghp_", "1-1-1-1-1-1-1-1", ":::::::", "....@....", "4111111111111111-4111111111111111",
	} {
		f.Add(s)
	}
	finder := all(f)
	f.Fuzz(func(t *testing.T, s string) {
		var caps []int
		found := finder.find(nil, &caps, []byte(s))
		end := 0
		for _, x := range found {
			if x.start < end || x.end <= x.start || x.end > len(s) {
				t.Fatalf("in %q the findings are %v", s, found)
			}
			end = x.end
		}
		for i := 0; i < len(s); i++ {
			from := i
			for i < len(s) && isDigit(s[i]) {
				i++
			}
			d := []byte(s[from:i])
			if len(d) < shortestCard || len(d) > longestCard || !hasIssuer(d) || !luhn(d) || !bounded([]byte(s), from, i) {
				continue
			}
			covered := from
			for _, x := range found {
				if x.start <= covered && x.end > covered {
					covered = x.end
				}
			}
			if covered < i {
				t.Fatalf("in %q the card number %s is not found: %v", s, d, found)
			}
		}
	})
}
