package amqp

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// mostSaid is how many bytes may wait for a client before no more of what it sends is read.
const mostSaid = 256 << 10

// Relay implements wire.Session.
func (s *session) Relay(ctx context.Context) error {
	s.d = s.g.Duplex(s.backend)
	s.upBeat.every, s.downBeat.every = s.back.beat, s.tuned.beat
	defer s.upBeat.start(s.beatUp)()
	defer s.downBeat.start(s.beatDown)()
	err := s.d.Run(ctx, s.up, s.down)
	if err != nil && fault.KindOf(err) == fault.Backend {
		s.farewells.Store(true)
	}
	return err
}

// up carries what the client says.
func (s *session) up(ctx context.Context) error {
	s.d.Lock()
	s.ctx = ctx
	s.d.Unlock()
	for {
		s.upNeed = max(s.upNeed, 1)
		s.downBeat.listens.Store(true)
		err := s.d.ListenFor(ctx, s.upNeed)
		s.downBeat.listens.Store(false)
		s.downBeat.heard.Add(1)
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil) {
			return err
		}
		s.d.Lock()
		err = s.fromClient()
		if err == nil {
			err = s.drained()
		}
		full, said := s.due > maxDue, s.d.Waiting()
		if said <= mostSaid {
			s.d.PushDown()
		}
		s.d.Unlock()
		if flushed := s.d.FlushUp(); err == nil {
			err = flushed
		}
		if err == nil && said > mostSaid {
			err = s.d.FlushDown() // a client that does not read is not read either
		}
		if err != nil {
			return err
		}
		if full {
			if err := s.confirmed(ctx); err != nil {
				return err
			}
		}
	}
}

// confirmed waits until fewer publishes wait for the broker.
func (s *session) confirmed(ctx context.Context) error {
	for {
		s.d.Lock()
		full := s.due > maxDue/2
		s.d.Unlock()
		if !full {
			return nil
		}
		select {
		case <-s.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// down carries what the broker says.
func (s *session) down(ctx context.Context) error {
	s.d.Lock()
	if s.ctx == nil {
		s.ctx = ctx
	}
	s.d.Unlock()
	for {
		s.downNeed = max(s.downNeed, 1)
		s.upBeat.listens.Store(true)
		err := s.d.HearFor(ctx, s.downNeed)
		s.upBeat.listens.Store(false)
		s.upBeat.heard.Add(1)
		if err != nil {
			return err
		}
		s.d.Lock()
		left, err := s.fromBroker()
		if err == nil && !left {
			err = s.drained()
		}
		s.d.PushUp()
		s.d.Unlock()
		if flushed := s.d.FlushDown(); err == nil {
			err = flushed
		}
		if err != nil || left {
			return err
		}
	}
}

// drained ends a session that was asked to end, once nothing is under way in it.
func (s *session) drained() error {
	if !s.draining.Load() {
		return nil
	}
	for _, ch := range s.channels {
		busy := len(ch.pending) > 0 || ch.confirms.waiting() || ch.in != nil || ch.out != nil || ch.waits != waitsNot || ch.transacts
		if busy && ch.client == isOpen {
			return nil
		}
	}
	return errDraining
}

// beat is the heartbeat towards one side. Both are the gateway's own.
type beat struct {
	every   time.Duration // 0 where the two agreed on none
	heard   atomic.Uint64 // counts what comes from there
	listens atomic.Bool   // somebody waits for what comes
	last    uint64
	silent  int
	timer   *time.Timer
	over    atomic.Bool
}

// start calls tick twice in every interval until the returned function is called.
func (b *beat) start(tick func(lost bool)) (stop func()) {
	if b.every <= 0 {
		return func() {}
	}
	half := b.every / 2
	b.timer = time.AfterFunc(time.Hour, func() {
		if b.over.Load() {
			return
		}
		now := b.heard.Load()
		if b.silent++; now != b.last || !b.listens.Load() {
			b.last, b.silent = now, 0
		}
		tick(b.silent >= 4) // two intervals, as the specification has it
		b.timer.Reset(half)
	})
	b.timer.Reset(half)
	return func() {
		b.over.Store(true)
		b.timer.Stop()
	}
}

var (
	errClientLost  = fault.New(fault.Unavailable, "amqp.beat", "nothing was heard of the client for two heartbeats")
	errBackendLost = fault.New(fault.Backend, "amqp.beat", "nothing was heard of the backend for two heartbeats")
)

func (s *session) beatUp(lost bool) {
	s.d.Lock()
	defer s.d.Unlock()
	if lost {
		s.d.Stop(errBackendLost)
		return
	}
	_ = s.d.ControlOwn(appendHeartbeat(nil))
	s.d.PushUp()
}

func (s *session) beatDown(lost bool) {
	s.d.Lock()
	defer s.d.Unlock()
	if lost {
		s.d.Stop(errClientLost)
		return
	}
	if s.d.Waiting() < mostSaid {
		_ = s.d.Show(gate.Pass{}, appendHeartbeat(nil))
		s.d.PushDown()
	}
}
