package main

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/access"
	"gatehouse/internal/cli"
	"gatehouse/internal/cli/client"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/heap"
	"gatehouse/internal/protocol"
	"gatehouse/internal/wire"
)

// extra is what `dev` adds to `serve`: it runs once the state is open and before anybody is told that the gateway is up.
type extra func(ctx context.Context, g *gateway, r *client.Reach) error

func serve(ctx context.Context, o cli.ServeOptions) error {
	return run(ctx, o, func(context.Context, *gateway, *client.Reach) error { return nil })
}

// run is the life of the gateway: open, listen, serve, drain, close.
func run(ctx context.Context, o cli.ServeOptions, more extra) error {
	c, err := loadConfig(o, defaultListeners())
	if err != nil {
		return err
	}
	if err := enoughFiles(c.Limits.MaxSessions); err != nil {
		return err
	}
	stderr, err := ownStderr()
	if err != nil {
		return err
	}
	logger := newLogger(stderr, c.LogLevel)
	s, err := openState(ctx, c, logger)
	if err != nil {
		return err
	}
	g, err := assemble(ctx, c, s, logger)
	if err == nil {
		err = g.listen(ctx)
	}
	if err != nil {
		_ = s.close(context.WithoutCancel(ctx))
		return err
	}
	if heap.Ours(os.Getenv, os.DirFS("/sys/fs/cgroup")) {
		half := time.NewTicker(time.Second / 2)
		defer half.Stop()
		go heap.Keep(ctx, half.C)
	}
	err = g.live(ctx, o, more)
	if closeErr := g.close(); err == nil {
		err = closeErr
	}
	return err
}

// live serves until ctx ends, then drains.
func (g *gateway) live(ctx context.Context, o cli.ServeOptions, more extra) error {
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer end()
	tasks.Go(func() { _ = g.policies.Run(serving) })
	tasks.Go(func() { _ = g.room.Run(serving) })
	tasks.Go(func() { g.reloads(serving) })
	tasks.Go(func() { g.sweeps(serving) })

	if err := g.started(); err != nil {
		return err
	}
	r := g.reach()
	if err := more(serving, g, &r); err != nil {
		return err
	}
	tasks.Go(func() { _ = g.identity.Run(serving) }) // after a local issuer listens: it asks for keys at once
	failed := make(chan error, 1)
	tasks.Go(func() { failed <- g.api.Serve(serving, g.apiSocket) })
	for _, l := range g.listeners {
		tasks.Go(func() { g.serveClients(serving, l) })
	}
	defer g.drain() // however it ends: clients are served from here on
	if err := client.WriteReach(g.state.dir, r); err != nil {
		return err
	}
	g.log.Info("gatehouse is up", "api", r.API, "listeners", r.Listeners, "state", g.state.dir, "version", version)
	if err := o.OnReady(r); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// serveClients serves one listener until ctx ends.
func (g *gateway) serveClients(ctx context.Context, l listener) {
	if l.protocol.Exchange == nil {
		l.Run(ctx, func(ctx context.Context, conn net.Conn, done func()) {
			defer done()
			g.sessions.Serve(ctx, conn, l.protocol, l.hello)
		})
		return
	}
	requests := g.sessions.Requests(l.protocol, l.hello)
	var serving sync.WaitGroup
	serving.Go(func() { requests.Run(ctx) })
	l.Run(ctx, requests.Serve)
	serving.Wait()
}

// started puts the start on record, and after a restore which log this one continues.
func (g *gateway) started() error {
	detail := map[string]string{"version": version, "node": g.state.node, "mode": g.config.Audit.Mode}
	checkpoint, err := g.state.continues()
	if err != nil {
		return err
	}
	if checkpoint != "" {
		detail["continues"] = checkpoint
	}
	seq, err := g.state.log.Append(&access.Event{Kind: access.EventGatewayStarted, Principal: access.GatewayPrincipal().ID(), Detail: detail})
	if err == nil {
		err = g.state.log.Barrier(seq)
	}
	if err == nil && checkpoint != "" {
		err = os.Remove(g.state.path(restoredMarker))
	}
	return err
}

// reloads reads files again at every SIGHUP.
func (g *gateway) reloads(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
			g.reload()
		case <-ctx.Done():
			return
		}
	}
}

// defaultListeners is one listener for each protocol, where the protocol says.
func defaultListeners() []config.Listener {
	var out []config.Listener
	for _, p := range protocol.All(wire.Deps{Random: rand.Reader}) {
		out = append(out, config.Listener{Protocol: p.Name, Address: p.Address})
	}
	return out
}

// ownStderr is another descriptor for standard error. The SQL parser's C library points descriptor 2 elsewhere for as long
// as it parses, and what is written to it meanwhile would be lost.
func ownStderr() (io.Writer, error) {
	fd, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "main.ownStderr", err, "standard error is not open: the log goes there")
	}
	return os.NewFile(uintptr(fd), "stderr"), nil
}

func newLogger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}
