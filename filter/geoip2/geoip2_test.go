package geoip2

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "database", "/nonexistent", "lookup_key", "ip", "record", "a ip %{b}")
}

// databaseFile writes a database and returns its path.
func databaseFile(t testing.TB) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", IncludeReservedNetworks: true, BuildEpoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	names := func(en string) mmdbtype.Map {
		return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(en)}, "iso_code": mmdbtype.String(strings.ToUpper(en[:2])), "0": mmdbtype.String("zero")}
	}
	for cidr, v := range map[string]mmdbtype.Map{
		"81.2.69.0/24": {
			"city": names("London"), "country": names("Great Britain"),
			"location":     mmdbtype.Map{"latitude": mmdbtype.Float64(51.5142), "accuracy_radius": mmdbtype.Uint16(100)},
			"subdivisions": mmdbtype.Slice{names("England"), names("Westminster")},
		},
		"2001:218::/32": {"country": names("Japan")},
		"1.1.1.1/32": {
			"boolean": mmdbtype.Bool(true), "bytes": mmdbtype.Bytes{0, 0, 0, 42}, "double": mmdbtype.Float64(42.123456),
			"float": mmdbtype.Float32(1.1), "int32": mmdbtype.Int32(-268435456), "uint16": mmdbtype.Uint16(100),
			"uint32": mmdbtype.Uint32(268435456), "uint64": mmdbtype.Uint64(1 << 63), "uint128": &mmdbtype.Uint128{},
			"string": mmdbtype.String("é \" x"), "array": mmdbtype.Slice{mmdbtype.Uint32(1), mmdbtype.Uint32(2)},
		},
	} {
		_, network, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(network, v); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "test.mmdb")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// The results here were observed on Fluent Bit 5.1.1 with the same database.
func TestWhatIsAdded(t *testing.T) {
	path := databaseFile(t)
	f := func(record, want string) {
		t.Helper()
		got := plugintest.Filter(t, Def(), []string{record}, "database", path, "lookup_key", "ip",
			"record", "city ip %{city.names.en}", "record", "iso ip %{country.iso_code}", "record", "lat ip %{location.latitude}",
			"record", "acc ip %{location.accuracy_radius}", "record", "sub ip %{subdivisions.0.iso_code}",
			"record", "last ip %{subdivisions.-1.names.en}", "record", "map ip %{city.names}", "record", "none ip %{nothing.here}",
			"record", "other ipx %{city.names.en}", "record", "zero ip %{city.0} and more")[0]
		if got != want {
			t.Errorf("%s becomes\n%s, expected\n%s", record, got, want)
		}
	}
	const london = `"city":"London","iso":"GR","lat":51.5142,"acc":100,"sub":"EN","last":"Westminster","map":null,"none":null,"other":null,"zero":"zero"}`
	const nothing = `"city":null,"iso":null,"lat":null,"acc":null,"sub":null,"last":null,"map":null,"none":null,"other":null,"zero":null}`
	f(`{"ip":"81.2.69.160","a":1}`, `{"ip":"81.2.69.160","a":1,`+london)
	f(`{"IP":"81.2.69.160"}`, `{"IP":"81.2.69.160",`+london)
	f(`{"ipaddr":"81.2.69.160"}`, `{"ipaddr":"81.2.69.160",`+london)
	f(`{"ip":"::ffff:81.2.69.160"}`, `{"ip":"::ffff:81.2.69.160",`+london)
	f(`{"ip":"1.2.3.4","ip2":"81.2.69.160"}`, `{"ip":"1.2.3.4","ip2":"81.2.69.160",`+london)
	f(`{"ip":"2001:218::1"}`, `{"ip":"2001:218::1","city":null,"iso":"JA","lat":null,"acc":null,"sub":null,"last":null,"map":null,"none":null,"other":null,"zero":null}`)
	f(`{"ip":"127.0.0.1"}`, `{"ip":"127.0.0.1",`+nothing)
	f(`{"ip":"nonsense"}`, `{"ip":"nonsense",`+nothing)
	f(`{"ip":"81.2.69.160 "}`, `{"ip":"81.2.69.160 ",`+nothing)
	f(`{"ip":""}`, `{"ip":"",`+nothing)
	f(`{"ip":5,"i":"81.2.69.160"}`, `{"ip":5,"i":"81.2.69.160",`+nothing)
	f(`{"x":{"ip":"81.2.69.160"}}`, `{"x":{"ip":"81.2.69.160"},`+nothing)
	f(`{"ip":"81.2.69.160","city":"old"}`, `{"ip":"81.2.69.160",`+london)
}

func TestTypes(t *testing.T) {
	props := []string{"database", databaseFile(t), "lookup_key", "ip"}
	for _, key := range []string{"boolean", "bytes", "double", "float", "int32", "uint16", "uint32", "uint64", "uint128", "string", "array", "array.1"} {
		props = append(props, "record", key+" ip %{"+key+"}")
	}
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), append(props, "record", "whole ip %{}", "record", "odd ip xxint32}")...)
	b := event.NewBatch("t")
	defer b.Free()
	b.Add(0).SetRecord(plugintest.Value(t, `{"ip":"1.1.1.1"}`))
	if err := filter.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	const want = `{"ip"=>"1.1.1.1", "boolean"=>true, "bytes"=>"` + "\x00\x00\x00*" + `", "double"=>42.123456, "float"=>1.100000, "int32"=>-268435456, ` +
		`"uint16"=>100, "uint32"=>268435456, "uint64"=>9223372036854775808, "uint128"=>nil, "string"=>"é " x", "array"=>nil, "array.1"=>2, "whole"=>nil, "odd"=>-268435456}`
	if got := string(event.AppendText(nil, b.Events[0].Record())); got != want {
		t.Errorf("the record is\n%s, expected\n%s", got, want)
	}
}

func TestSeveralAddresses(t *testing.T) {
	got := plugintest.Filter(t, Def(), []string{`{"src":"81.2.69.1","dst":"2001:218::5"}`}, "database", databaseFile(t),
		"lookup_key", "dst", "lookup_key", "src", "record", "from src %{country.iso_code}", "record", "to dst %{country.iso_code}")[0]
	if want := `{"src":"81.2.69.1","dst":"2001:218::5","from":"GR","to":"JA"}`; got != want {
		t.Errorf("the record is %s, expected %s", got, want)
	}
}

func TestBadAddressesAreSaid(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	filter := plugintest.NewFilter(t, Def(), env, "database", databaseFile(t), "lookup_key", "ip", "record", "a ip %{x}")
	plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"ip":"no.address"}`}, plugintest.Event{Record: `{"ip":"` + strings.Repeat("1", 1000) + `"}`})
	if text := log.String(); !strings.Contains(text, "no.address") || !strings.Contains(text, "too long for an address") {
		t.Errorf("the log does not name the addresses: %s", text)
	}
}

func TestDatabasesThatCannotBeUsed(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.mmdb")
	if err := os.WriteFile(bad, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{bad, "/nonexistent/x.mmdb"} {
		f, err := plugintest.TryFilter(Def(), plugintest.Env(t), "database", path, "lookup_key", "ip", "record", "a ip %{x}")
		if err != nil {
			t.Fatal(err)
		}
		filter := f.(*Filter)
		if err := filter.Start(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Start with %s: %v", path, err)
		}
		if err := filter.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f(`"database" is missing`, "lookup_key", "ip", "record", "a ip %{x}")
	f("at least one lookup_key", "database", "x", "record", "a ip %{x}")
	f("lookup_key is empty", "database", "x", "lookup_key", "", "record", "a ip %{x}")
	f("at least one record", "database", "x", "lookup_key", "ip")
	f("not a key, a lookup_key and a path", "database", "x", "lookup_key", "ip", "record", "a ip")
	f("is not a path", "database", "x", "lookup_key", "ip", "record", "a ip nothing")
	f("is not a path", "database", "x", "lookup_key", "ip", "record", "a ip %}")
}

func TestPaths(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if p := parsePath(s); fmt.Sprintf("%#v %#v", p.parts, p.names) != want {
			t.Errorf("%q is %#v %#v, expected %s", s, p.parts, p.names, want)
		}
	}
	f("a.b", `[]interface {}{"a", "b"} []interface {}(nil)`)
	f("..a..-1", `[]interface {}{"a", -1} []interface {}{"a", "-1"}`)
	f("a.b.c.d.e.f.g.h.i.j", `[]interface {}{"a", "b", "c", "d", "e", "f", "g", "h", "i.j"} []interface {}(nil)`)
	f("", `[]interface {}(nil) []interface {}(nil)`)
}

func TestTheCacheIsBounded(t *testing.T) {
	var c cache
	for i := range 3 * cacheSize {
		c.put(fmt.Append(nil, i), []event.Value{null})
		if _, ok := c.get([]byte("0")); !ok {
			t.Fatalf("an address that is asked for all the time is forgotten after %d others", i)
		}
	}
	if n := len(c.young) + len(c.old); n > 2*cacheSize {
		t.Errorf("the cache has %d entries", n)
	}
	if c.put([]byte(strings.Repeat("x", maxAddress+1)), nil); len(c.young)+len(c.old) > 2*cacheSize {
		t.Error("text that is no address was kept")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "database", databaseFile(t), "lookup_key", "ip", "record", "a ip %{city.names.en}")
	if n := plugintest.AllocsPerEvent(t, filter, `{"ip":"81.2.69.160","b":2}`); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	filter := plugintest.NewFilter(b, Def(), plugintest.Env(b), "database", databaseFile(b), "lookup_key", "ip",
		"record", "a ip %{city.names.en}", "record", "b ip %{country.iso_code}")
	plugintest.BenchmarkFilter(b, filter, `{"ip":"81.2.69.160","b":2}`)
}

func TestSeveralGoroutines(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "database", databaseFile(t), "lookup_key", "ip", "record", "a ip %{country.iso_code}")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 100 {
				record := fmt.Sprintf(`{"ip":"81.2.69.%d"}`, (i+j)%256)
				if got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: record})[0].Record; !strings.HasSuffix(got, `,"a":"GR"}`) {
					t.Errorf("the record is %s", got)
				}
			}
		})
	}
	wg.Wait()
}
