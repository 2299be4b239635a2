//go:build race

package gateway

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/e2e/child"
)

const racing = "GATEHOUSE_TEST_RACES"

func TestMain(m *testing.M) {
	if os.Getenv(racing) != "" {
		race()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// race lets two goroutines write one variable.
func race() {
	var both sync.WaitGroup
	n := 0
	for range 2 {
		both.Go(func() { n++ })
	}
	both.Wait()
}

// TestRacesAreNoticed: a gateway in which the detector found a race fails the run when it is stopped, and shows where it was.
func TestRacesAreNoticed(t *testing.T) {
	g := &Gateway{LogFile: filepath.Join(t.TempDir(), "log")}
	log, err := os.Create(g.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Stderr, cmd.Env = log, append(append(os.Environ(), raceEnv()...), racing+"=1")
	if g.process, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-g.Done()
	defer func() {
		if said, _ := recover().(string); !strings.Contains(said, "gateway.race") {
			t.Errorf("nobody was told of the race: %q", said)
		}
	}()
	g.Stop()
}
