package pipetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The ends of the names of test files, and those of configurations.
var (
	testSuffixes   = []string{".test.yaml", ".test.yml", "_test.yaml", "_test.yml"}
	configSuffixes = []string{".conf", ".yaml", ".yml"}
)

// stem is the name of a test file without what makes it one.
func stem(path string) (string, bool) {
	for _, s := range testSuffixes {
		if rest, ok := strings.CutSuffix(path, s); ok && filepath.Base(rest) != "" && !strings.HasSuffix(rest, string(filepath.Separator)) {
			return rest, true
		}
	}
	return path, false
}

// Beside returns the configuration of the same name beside a test file, or "".
// app.test.yaml and app_test.yaml are tests of app.conf, app.yaml or app.yml, and
// also of a configuration whose whole name stands there, app.conf.
func Beside(testFile string) string {
	base, ok := stem(testFile)
	if !ok {
		return ""
	}
	candidates := []string{}
	for _, s := range configSuffixes {
		candidates = append(candidates, base+s)
	}
	if slices.Contains(configSuffixes, filepath.Ext(base)) {
		candidates = append(candidates, base)
	}
	for _, c := range candidates {
		if st, err := os.Stat(c); err == nil && st.Mode().IsRegular() {
			return c
		}
	}
	return ""
}

// TestsOf returns the test files beside a configuration that are its own by
// their names.
func TestsOf(configFile string) []string {
	var out []string
	base := strings.TrimSuffix(configFile, filepath.Ext(configFile))
	for _, s := range testSuffixes {
		for _, f := range []string{base + s, configFile + s} {
			if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() {
				out = append(out, f)
			}
		}
	}
	return out
}

// Find returns the test files that the arguments name: files as they are, and
// all test files below directories, in the order of their paths. Directories
// whose names begin with a dot are left out.
func Find(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		st, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("find tests: %w", err)
		}
		if !st.IsDir() {
			out = append(out, arg)
			continue
		}
		n := len(out)
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != arg && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case d.IsDir():
				return nil
			}
			if _, ok := stem(path); ok {
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("find tests: %w", err)
		}
		if len(out) == n {
			return nil, fmt.Errorf("no test file below %s; their names end in %s", arg, strings.Join(testSuffixes, ", "))
		}
	}
	return out, nil
}

// NameFor is the usual name of the test file of a configuration.
func NameFor(configFile string) string {
	return strings.TrimSuffix(configFile, filepath.Ext(configFile)) + testSuffixes[0]
}
