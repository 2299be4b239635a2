// Package child runs a server as a child process that dies with its parent, also when the parent is killed.
// TestServerDiesWithItsParent in e2e/pgtest proves it.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// patience is how long each signal of End has to work.
const patience = 15 * time.Second

// Process is a started child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts cmd. farewell is the signal that the child gets when its parent dies.
//
// The kernel sends it when the thread that forked dies, not when the process does: so that thread is kept until the child
// has exited.
func Start(cmd *exec.Cmd, farewell syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = farewell
	cmd.SysProcAttr.Setpgid = true // Ctrl-C on the terminal is for the parent, which ends its children in order
	p := &Process{cmd: cmd, done: make(chan struct{})}
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

// Done is closed when the child has exited.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child exited; nil for status 0. It waits for the exit.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends one signal. A child that has exited already gets none.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// End sends one signal after the other until the child has exited.
func (p *Process) End(signals ...syscall.Signal) {
	for _, s := range signals {
		p.Signal(s)
		select {
		case <-p.done:
			return
		case <-time.After(patience):
		}
	}
}
