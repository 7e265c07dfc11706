package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// records reads a file of the output file in the format plain.
func records(t *testing.T, file string) (recs []map[string]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var rec map[string]string
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("%v in %.200q", err, line)
		}
		recs = append(recs, rec)
	}
	return recs
}

// Docker splits lines at 16 KiB; the filter multiline puts them together again,
// of several containers at once.
func TestLinesThatDockerHasSplit(t *testing.T) {
	e := needEngine(t)
	dir, port := t.TempDir(), freePort(t)
	r := start(t, fmt.Sprintf(forwardToFile, "Listen 127.0.0.1\n    Port "+port, dir)+
		"[FILTER]\n    Name multiline\n    Match *\n    Mode partial_message\n    Multiline.Key_Content log\n")
	waitFor(t, "the forward input", func() bool { return listening("tcp", "127.0.0.1:"+port) })
	const lines = 20
	var containers sync.WaitGroup
	for _, letter := range []string{"x", "y"} {
		containers.Go(func() {
			e.run(t, "127.0.0.1:"+port, fmt.Sprintf(
				"long=$(busybox head -c 50000 /dev/zero | busybox tr '\\0' %s); i=0; while [ $i -lt %d ]; do i=$((i+1)); echo $i $long; echo $i short; done", letter, lines))
		})
	}
	containers.Wait()
	r.stop()
	got := map[string]int{}
	for _, rec := range records(t, filepath.Join(dir, "out.log")) {
		if rec["container_id"] == "" || rec["source"] != "stdout" {
			t.Errorf("the fields of the log driver are missing: %.200q", rec)
		}
		for key := range rec {
			if strings.HasPrefix(key, "partial_") {
				t.Errorf("the field %s is left in a joined record", key)
			}
		}
		got[rec["log"]]++
	}
	for i := 1; i <= lines; i++ {
		for text, want := range map[string]int{
			fmt.Sprint(i, " ", strings.Repeat("x", 50000)): 1,
			fmt.Sprint(i, " ", strings.Repeat("y", 50000)): 1,
			fmt.Sprint(i, " short"):                        2,
		} {
			if got[text] != want {
				t.Errorf("the line %.10q of %d bytes came %d times, want %d", text, len(text), got[text], want)
			}
			delete(got, text)
		}
	}
	for text := range got {
		t.Errorf("there is a line %.100q of %d bytes", text, len(text))
	}
}

// Parts that a filter holds are not acknowledged: when the router is killed, tail
// reads them again and the message is complete in the end.
func TestHeldPartsSurviveAKill(t *testing.T) {
	f := func(name, filter, first, rest, want string) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := write(t, dir, "in.log", first)
			config := fmt.Sprintf("[SERVICE]\n    Flush 0.1\n    Grace 5\n    Parsers_File %s\n"+
				"[INPUT]\n    Name tail\n    Path %s\n    DB %s\n    Read_From_Head on\n    Parser json\n    Refresh_Interval 1\n"+
				"[FILTER]\n    Name multiline\n    Match *\n    Multiline.Key_Content log\n    Flush_Ms 60000\n%s"+
				"[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %s\n    File out\n",
				write(t, dir, "parsers.conf", "[PARSER]\n    Name json\n    Format json\n"), file, filepath.Join(dir, "tail.db"), filter, dir)
			out := filepath.Join(dir, "out")
			r := start(t, config)
			waitFor(t, "the records that are complete", func() bool { return count(out) == 1 })
			_ = r.cmd.Process.Kill()
			<-r.ended

			in, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.WriteString(rest); err != nil {
				t.Fatal(err)
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			r = start(t, config)
			waitFor(t, "the joined record", func() bool {
				return slices.ContainsFunc(records(t, out), func(rec map[string]string) bool { return rec["log"] == want })
			})
			r.stop()
		})
	}
	part := `{"log":%q,"partial_message":"true","partial_id":"x","partial_last":"%v"}` + "\n"
	f("partial_message", "    Mode partial_message\n",
		fmt.Sprintf(part, "one ", false)+fmt.Sprintf(part, "two ", false)+`{"log":"whole"}`+"\n",
		fmt.Sprintf(part, "three", true), "one two three")
	lines := func(texts ...string) string {
		var b strings.Builder
		for _, s := range texts {
			fmt.Fprintf(&b, "{\"log\":%q}\n", s)
		}
		return b.String()
	}
	f("parser", "    Multiline.Parser java\n",
		lines("before", "java.lang.RuntimeException: closed", "    at a.B.c(D.java:1)"),
		lines("    at a.B.c(D.java:2)", "after"),
		"java.lang.RuntimeException: closed\n    at a.B.c(D.java:1)\n    at a.B.c(D.java:2)")
}
