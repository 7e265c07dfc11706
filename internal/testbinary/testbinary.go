// Package testbinary gives the program to tests that run it as a whole.
package testbinary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Path returns the program that the environment variable env names. Without it
// ours is built, into the folder that dir makes.
func Path(env string, dir func() (string, error)) (string, error) {
	if bin := os.Getenv(env); bin != "" {
		return filepath.Abs(bin)
	}
	folder, err := dir()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(folder, "kagari")
	cmd := exec.Command("go", "build", "-o", bin, "github.com/kagarilog/kagari/cmd/kagari")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w: %s", err, out)
	}
	return bin, nil
}
