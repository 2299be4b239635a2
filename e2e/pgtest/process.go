package pgtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long each signal of end has to work.
const patience = 10 * time.Second

// process is a child that dies with its parent.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
	err  error         // how; to be read after done
}

// startProcess starts cmd on a thread that lives until cmd has exited: the kernel sends the parent-death signal when the
// thread that forked dies, not when the process does.
func startProcess(cmd *exec.Cmd) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(p.done)
	}()
	return p, <-started
}

// end sends one signal after the other until the process has exited.
func (p *process) end(signals ...syscall.Signal) {
	for _, sig := range signals {
		_ = p.cmd.Process.Signal(sig) // it may have exited already: done tells
		select {
		case <-p.done:
			return
		case <-time.After(patience):
		}
	}
}

// findBinaries returns the folder of the newest PostgreSQL server that Debian's packages installed.
func findBinaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no PostgreSQL server below /usr/lib/postgresql: run scripts/setup.sh, or apt-get install postgresql")
	}
	major := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // what is no number sorts first
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })
	return filepath.Dir(newest), nil
}

// owner is the user that the server runs as: PostgreSQL refuses to run as root, so root lends it the postgres user.
type owner struct{ credential *syscall.Credential }

func serverUser() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return owner{}, fmt.Errorf("root cannot run PostgreSQL, and the user postgres of Debian's package is missing: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return owner{}, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return owner{}, err
	}
	return owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func (o owner) attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Credential: o.credential} }

func (o owner) own(path string) error {
	if o.credential == nil {
		return nil
	}
	return os.Chown(path, int(o.credential.Uid), int(o.credential.Gid))
}

// write makes a file that only the owner (and root) can read.
func (o owner) write(path string, data []byte) error {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return o.own(path)
}

// freePort asks the kernel for a port that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }() // nothing was accepted
	return l.Addr().(*net.TCPAddr).Port, nil
}
