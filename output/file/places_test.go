package file

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// tree returns the files below dir with the number of their lines.
func tree(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			files = append(files, rel+strings.Repeat("+", strings.Count(read(t, path), "\n")))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

func TestPlacesOfRecords(t *testing.T) {
	f := func(props []string, want []string, records ...string) {
		t.Helper()
		dir := t.TempDir()
		o := plugintest.NewOutput(t, Def(), plugintest.Env(t),
			append([]string{"mkdir", "on", "fallback_path", dir, "fallback_file", "fb"}, replaceDir(props, dir)...)...)
		_ = o.Send(t.Context(), plugintest.Chunk(t, "x.y", records...))
		if got := tree(t, dir); !slices.Equal(got, want) {
			t.Errorf("with %q there are the files %q, expected %q", props, got, want)
		}
	}
	f([]string{"path", "DIR", "file", "$app"}, []string{"a++", "b+"},
		`{"app":"a"}`, `{"app":"b"}`, `{"app":"a"}`)
	f([]string{"path", "DIR/$app", "file", "log"}, []string{"a/log+", "b/log+"},
		`{"app":"a"}`, `{"app":"b"}`)
	f([]string{"path", "DIR/$app", "file", "$TAG[1]"}, []string{"a/y+"}, `{"app":"a"}`)
	// Without a file the tag is the name.
	f([]string{"path", "DIR/$app"}, []string{"a/x.y+"}, `{"app":"a"}`)
	f([]string{"path", "DIR", "file", "%Y-%m.log", "enable_strftime", "on"}, []string{"2023-11.log+"}, `{}`)
	f([]string{"path", "DIR/%Y", "file", "$app", "enable_strftime", "on"}, []string{"2023/a+"}, `{"app":"a"}`)
	// Percent signs are literal by default.
	f([]string{"path", "DIR", "file", "%Y"}, []string{"%Y+"}, `{}`)
	// What is missing or dangerous.
	f([]string{"path", "DIR", "file", "$app", "on_missing_field", "fallback"}, []string{"a+", "fb+++"},
		`{"app":"a"}`, `{}`, `{"app":".."}`, `{"app":"x/y"}`)
	f([]string{"path", "DIR/$app", "file", "l", "on_missing_field", "fallback"}, []string{"fb++", "x/y/l+"},
		`{"app":"x/y"}`, `{"app":"../.."}`, `{"app":"a\nb"}`)
	f([]string{"path", "DIR", "file", "$app", "on_missing_field", "drop"}, []string{"a+"},
		`{"app":"a"}`, `{}`)
	f([]string{"path", "DIR", "file", "$app", "max_dynamic_files", "2", "on_limit_reached", "fallback"}, []string{"a++", "b+", "fb+"},
		`{"app":"a"}`, `{"app":"b"}`, `{"app":"c"}`, `{"app":"a"}`)
}

func replaceDir(props []string, dir string) []string {
	out := slices.Clone(props)
	for i := range out {
		out[i] = strings.Replace(out[i], "DIR", dir, 1)
	}
	return out
}

func TestOnlyRecordsWithoutAPlaceAreRejected(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "$app", "fallback_file", "f")
	err := o.Send(t.Context(), plugintest.Chunk(t, "t", `{"app":"a"}`, `{}`, `{"app":"b"}`))
	var p *plugin.PartialError
	if !errors.As(err, &p) || !slices.Equal(p.Rejected, []int{1}) || len(p.Retry) != 0 {
		t.Fatalf("Send returned %#v, expected a partial error that rejects event 1", err)
	}
	if got := tree(t, dir); !slices.Equal(got, []string{"a+", "b+"}) {
		t.Errorf("the files are %q", got)
	}
}

func TestDroppedRecordsAreCounted(t *testing.T) {
	env := plugintest.Env(t)
	o := plugintest.NewOutput(t, Def(), env, "path", t.TempDir(), "file", "$app", "fallback_file", "f", "on_missing_field", "drop")
	send(t, o, plugintest.Chunk(t, "t", `{"app":"a"}`, `{}`, `{}`))
	if n := plugintest.Dropped(env, "file_field_missing"); n != 2 {
		t.Errorf("%d records were counted as dropped, expected 2", n)
	}
}
