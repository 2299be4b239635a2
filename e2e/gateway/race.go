//go:build race

package gateway

import (
	"errors"
	"fmt"
	"os/exec"
)

func raceArgs() []string { return []string{"-race"} }

// raceEnv has a gateway end at its first race, so that no test goes on with it. The detector otherwise lets every process
// wait for a second before it exits, which is most of what a command takes: there are thousands.
func raceEnv() []string { return []string{"GORACE=halt_on_error=1 atexit_sleep_ms=0"} }

// raced is the status with which the detector ends a process that it found a race in.
const raced = 66

// mustNotRace fails the whole run where the detector ended the gateway: what a test goes on to see may hide it.
func (g *Gateway) mustNotRace() {
	var exit *exec.ExitError
	if errors.As(g.process.Err(), &exit) && exit.ExitCode() == raced {
		panic(fmt.Sprintf("a data race in the gateway:\n%s", g.logTail()))
	}
}
