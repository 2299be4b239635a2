package gateway

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds the gatehouse binary into dir, with the race detector where the caller has it, and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "gatehouse")
	args := append([]string{"build", "-o", binary}, raceArgs()...)
	out, err := exec.CommandContext(ctx, "go", append(args, "gatehouse/cmd/gatehouse")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}
