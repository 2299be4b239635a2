package queues

import (
	"fmt"
	"sync"
	"testing"
)

// ledger is what clients know of messages that are numbered from 0: how often each was sent, whether its arrival was confirmed,
// how it came back, and whether the client acknowledged it.
type ledger struct {
	mu        sync.Mutex
	entries   []entry
	confirmed int
	settled   int
	progress  *sync.Cond
	over      error
}

type entry struct {
	sent      int // how often
	confirmed bool
	fresh     int // deliveries that were not marked as redeliveries
	again     int // and that were
	acked     bool
}

func newLedger(n int) *ledger {
	l := &ledger{entries: make([]entry, n)}
	l.progress = sync.NewCond(&l.mu)
	return l
}

func (l *ledger) sends(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id].sent++
}

// confirms takes a confirm, and wakes who waits for progress.
func (l *ledger) confirms(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := &l.entries[id]; !e.confirmed {
		e.confirmed = true
		l.confirmed++
		l.progress.Broadcast()
	}
}

func (l *ledger) unconfirmed(ids []int) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var left []int
	for _, id := range ids {
		if !l.entries[id].confirmed {
			left = append(left, id)
		}
	}
	return left
}

// delivers takes a delivery, and says whether it is the first of the message.
func (l *ledger) delivers(id int, marked bool) (first bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id < 0 || id >= len(l.entries) {
		return false, fmt.Errorf("message %d came, which nobody sent", id)
	}
	e := &l.entries[id]
	first = e.fresh+e.again == 0
	if marked {
		e.again++
	} else {
		e.fresh++
	}
	return first, nil
}

func (l *ledger) acks(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := &l.entries[id]; !e.acked {
		e.acked = true
		l.settled++
		l.progress.Broadcast()
	}
}

// fail ends whoever waits for progress.
func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over == nil {
		l.over = err
	}
	l.progress.Broadcast()
}

// await waits until as many messages are confirmed and settled.
func (l *ledger) await(t *testing.T, confirmed, settled int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.over == nil && (l.confirmed < confirmed || l.settled < settled) {
		l.progress.Wait()
	}
	if l.over != nil {
		t.Fatalf("%v (%d confirmed, %d settled)", l.over, l.confirmed, l.settled)
	}
}

// check holds the ledger to the promise: each confirmed message was delivered, and acknowledged by nobody but the client; more
// than once only where it was sent more than once, or where the delivery says so.
func (l *ledger) check(t *testing.T, what string, sent *ledger) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if sent != l { // what the publisher knows, beside what this consumer does
		sent.mu.Lock()
		defer sent.mu.Unlock()
	}
	resent, redelivered, lost, doubled := 0, 0, 0, 0
	for id, e := range l.entries {
		e.sent, e.confirmed = sent.entries[id].sent, sent.entries[id].confirmed
		if e.sent > 1 {
			resent++
		}
		redelivered += e.again
		switch {
		case e.confirmed && e.fresh+e.again == 0:
			if lost++; lost < 10 {
				t.Errorf("%s: message %d was confirmed, and never came: %+v", what, id, e)
			}
		case e.fresh > e.sent:
			if doubled++; doubled < 10 {
				t.Errorf("%s: message %d came more often than it was sent, and not as a redelivery: %+v", what, id, e)
			}
		}
	}
	if lost+doubled > 0 {
		t.Errorf("%s: %d lost, %d doubled", what, lost, doubled)
	}
	t.Logf("%s: %d messages, %d sent again, %d redeliveries", what, len(l.entries), resent, redelivered)
}
