package queues

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/mqtest"
)

// storm is a gateway of a test's own, on a port that it comes back to, which the test kills while clients work.
type storm struct {
	*World
	protocol string
	options  gateway.Options

	mu     sync.Mutex
	gw     *gateway.Gateway
	token  Place
	minted time.Time
}

// calm is how many messages a test of loss sends, and into how many parts its interruptions cut that: LOSS says how many messages
// `make loss` sends.
func calm() (messages, parts int) {
	if n, err := strconv.Atoi(os.Getenv("LOSS")); err == nil {
		return n, 12
	}
	return 5000, 4
}

func newStorm(t *testing.T, protocol string) *storm {
	t.Helper()
	port, err := mqtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &storm{World: shared, protocol: protocol}
	args := []string{"--listen", protocol + "=" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if s.gw, err = shared.Start(t.Context(), "loss-"+protocol, args...); err != nil {
		t.Fatal(err)
	}
	s.options = gateway.Options{Binary: shared.binary, State: s.gw.State, Args: args}
	t.Cleanup(func() { s.gw.Stop() })
	return s
}

// place is where clients find the gateway now, with a token that lives for a while.
func (s *storm) place() (Place, error) {
	const fresh = 3 * time.Minute
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.minted) < fresh {
		return s.token, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	at, err := s.Through(ctx, s.gw, s.protocol, Everything)
	if err != nil {
		return Place{}, err
	}
	s.token, s.minted = at, time.Now()
	return at, nil
}

// kill ends the gateway at once and starts it again on what that left.
func (s *storm) kill(t *testing.T) {
	t.Helper()
	s.gw.Kill()
	s.verify(t)
	gw, err := gateway.Start(t.Context(), s.options)
	if err != nil {
		t.Fatalf("the gateway does not start on what the crash left: %v", err)
	}
	s.mu.Lock()
	s.gw = gw
	s.mu.Unlock()
}

func (s *storm) verify(t *testing.T) {
	t.Helper()
	if r := s.gw.CLI(t.Context(), "", "audit", "verify", "--dir", s.gw.AuditDir(), "--key", s.gw.AuditKey()); r.Code != 0 {
		t.Fatalf("verify: %s%s", r.Out, r.Err)
	}
}

// broker is either.
type broker interface {
	Down()
	Kill()
	Up(ctx context.Context) error
}

// interrupt kills the gateway at every part of the way, and ends the broker at every third: in order, and at once.
func (s *storm) interrupt(t *testing.T, b broker, l *ledger, parts int) {
	t.Helper()
	for part := 1; part < parts; part++ {
		l.await(t, part*len(l.entries)/parts, 0)
		if part%3 != 2 {
			s.kill(t)
			continue
		}
		if part%2 == 0 {
			b.Down()
		} else {
			b.Kill()
		}
		if err := b.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingIsLostOverAMQP: while the gateway is killed and the broker ended, again and again, every message that a publisher
// has a confirm for arrives; none is acknowledged that no client acknowledged; what comes again says so; and the audit log verifies
// after each kill, and has an intent for every message that the broker has. LOSS says how many messages.
func TestNothingIsLostOverAMQP(t *testing.T) {
	messages, parts := calm()
	s := newStorm(t, AMQP)
	n := &lossAMQP{exchange: "loss", worked: "loss.worked", held: "loss.held"}
	ch, end, err := channel(t.Context(), s.place)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.declare(ch); err != nil {
		t.Fatal(err)
	}
	end()
	n.leaves.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	worked, held := newLedger(messages), newLedger(messages)
	clients.Go(func() { n.publish(ctx, worked, s.place) })
	clients.Go(func() { n.consume(ctx, worked, n.worked, true, s.place) })
	clients.Go(func() { n.consume(ctx, held, n.held, false, s.place) })
	s.interrupt(t, s.Rabbit, worked, parts)
	worked.await(t, messages, 0)
	n.leaves.Store(false)
	s.kill(t) // what the consumer left comes again
	worked.await(t, messages, messages)
	cancel()
	clients.Wait()
	s.gw.Stop() // it ends its connections: what nobody acknowledged waits again
	worked.check(t, "worked off", worked)
	held.check(t, "held", workedOnly(worked, held))
	kept := drain(t, s.World, n.held)
	copies := 0
	for id := range messages {
		copies += kept[id]
		if kept[id] == 0 || kept[id] > worked.entries[id].sent {
			t.Errorf("message %d was sent %d times, and the queue that nobody acknowledges has it %d times", id, worked.entries[id].sent, kept[id])
		}
	}
	if left := drain(t, s.World, n.worked); len(left) > 0 {
		t.Errorf("%d messages were acknowledged by the client, and wait again", len(left))
	}
	s.recorded(t, "amqp:Publish", copies)
}

// workedOnly is what the publisher knows of those messages that the consumer of held was given: it stops at its prefetch.
func workedOnly(sent, held *ledger) *ledger {
	l := newLedger(len(sent.entries))
	for id, e := range sent.entries {
		l.entries[id] = entry{sent: e.sent, confirmed: e.confirmed && held.entries[id].fresh+held.entries[id].again > 0}
	}
	return l
}

// recorded holds the audit log to having an intent for as many actions, in windows or each.
func (s *storm) recorded(t *testing.T, action string, want int) {
	t.Helper()
	s.gw.Stop()
	s.verify(t)
	gw, err := gateway.Start(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	s.gw = gw
	c, err := count(t.Context(), gw, action)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d intents of %s (%d of windows) for at most %d messages; %d counted; the broker has %d", c.intents, action, c.windows, c.most, c.counted, want)
	if c.most < want {
		t.Errorf("the broker has %d messages, and the audit log has intents for %d", want, c.most)
	}
	if c.counted > want && c.unknown == 0 {
		t.Errorf("the audit log counts %d messages, and the broker has %d", c.counted, want)
	}
}

// counts is what an audit log says of one kind of action: how many intents, how many of them of windows, for how many messages
// at most, how many outcomes counted, and how many intents have none.
type counts struct{ intents, windows, most, counted, unknown int }

// record is what the test reads of an event.
type record struct {
	Kind    string
	Action  uint64
	Actions []struct{ Name string }
	Window  *struct{ Messages int }
	Status  string
	Rows    int
}

func count(ctx context.Context, gw *gateway.Gateway, action string) (counts, error) {
	var c counts
	listed := gw.CLI(ctx, "", "sessions", "list", "--limit", "1000", "-o", "json")
	var sessions []struct {
		ID      string
		Actions int
	}
	if err := json.Unmarshal([]byte(listed.Out), &sessions); err != nil {
		return c, fmt.Errorf("sessions list: %w: %s%s", err, listed.Out, listed.Err)
	}
	for _, s := range sessions {
		if s.Actions == 0 { // the broker was not there
			continue
		}
		shown := gw.CLI(ctx, "", "sessions", "show", s.ID, "-o", "json")
		open := map[uint64]record{} // intents without an outcome
		for events := json.NewDecoder(strings.NewReader(shown.Out)); events.More(); {
			var r record
			if err := events.Decode(&r); err != nil {
				return c, fmt.Errorf("sessions show: %w: %s", err, shown.Err)
			}
			intent, known := open[r.Action]
			switch {
			case r.Kind == "action.intended" && len(r.Actions) > 0 && r.Actions[0].Name == action:
				open[r.Action] = r
			case r.Kind == "action.ended" && known:
				delete(open, r.Action)
				c.add(intent, r)
			}
		}
		for _, intent := range open {
			c.unknown++
			c.add(intent, record{})
		}
	}
	return c, nil
}

// add counts an intent and its outcome.
func (c *counts) add(intent, outcome record) {
	c.intents++
	switch {
	case intent.Window == nil:
		c.most++
		c.counted++
	case outcome.Kind == "": // nobody counted
		c.windows++
		c.most += intent.Window.Messages
	default:
		c.windows++
		c.most += outcome.Rows
		c.counted += outcome.Rows
	}
}
