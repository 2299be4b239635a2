package amqp

import (
	"sort"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
)

// confirms are the publishes of a channel in confirm mode. The client numbers all that it sends; the broker only those that reach it.
type confirms struct {
	on     bool
	client uint64 // the last publish, as the client counts
	broker uint64 // the last, as the broker counts
	list   []publish
	from   int // of list: those before it are settled
}

// publish is one publish that was not confirmed, or stands behind one.
type publish struct {
	client  uint64
	broker  uint64 // of one that was refused: that of the one before it
	pass    gate.Pass
	hits    int64 // values hidden
	settled bool
	refused bool // the gateway did; the client was told
}

func (c *confirms) waiting() bool { return c.from < len(c.list) }

// count numbers a publish as the client does.
func (c *confirms) count() uint64 {
	c.client++
	return c.client
}

// sent notes that a publish goes to the broker.
func (c *confirms) sent(client uint64, pass gate.Pass, hits int64) {
	c.broker++
	c.list = append(c.list, publish{client: client, broker: c.broker, pass: pass, hits: hits})
}

// refuse notes that a publish goes nowhere.
func (c *confirms) refuse(client uint64) {
	if n := len(c.list); n > c.from && c.list[n-1].refused {
		return // one is enough to part those before from those behind
	}
	c.list = append(c.list, publish{client: client, broker: c.broker, settled: true, refused: true})
	c.tidy()
}

// confirm is one answer for the client.
type confirm struct {
	tag      uint64
	multiple bool
}

// settle takes a confirm of the broker's. It calls done for each publish that has its answer now, and returns what the client is told: no
// answer for several spans one that the gateway has refused, since some clients would take that for the answer to it as well. ok is false
// for a confirm of what was never sent.
func (c *confirms) settle(tag uint64, multiple bool, done func(publish)) (told []confirm, ok bool) {
	if tag > c.broker || tag == 0 && !multiple {
		return nil, false
	}
	if !multiple {
		list := c.list[c.from:]
		i := sort.Search(len(list), func(i int) bool { return list[i].broker >= tag })
		if i == len(list) || list[i].broker != tag || list[i].settled {
			return nil, false
		}
		done(list[i])
		list[i].settled, list[i].pass = true, gate.Pass{}
		told = append(told, confirm{list[i].client, false})
		c.tidy()
		return told, true
	}
	run := 0
	for i := c.from; i < len(c.list); i++ {
		p := &c.list[i]
		if tag != 0 && p.broker > tag {
			break
		}
		if p.refused {
			run = 0
			continue
		}
		if p.settled {
			continue
		}
		done(*p)
		p.settled, p.pass = true, gate.Pass{}
		if run++; run == 1 {
			told = append(told, confirm{p.client, false})
		} else {
			told[len(told)-1] = confirm{p.client, true}
		}
	}
	c.tidy()
	return told, true
}

// tidy forgets what stands before the first that waits.
func (c *confirms) tidy() {
	for c.from < len(c.list) && c.list[c.from].settled {
		c.from++
	}
	switch {
	case c.from == len(c.list):
		c.list, c.from = c.list[:0], 0
	case c.from > 1024 && c.from > len(c.list)/2:
		c.list = append(c.list[:0], c.list[c.from:]...)
		c.from = 0
	}
}

// end gives every publish without an answer an outcome, when the channel has ended.
func (c *confirms) end(done func(publish)) {
	for _, p := range c.list[c.from:] {
		if !p.settled {
			done(p)
		}
	}
	c.list, c.from = nil, 0
}

// settleConfirm takes basic.ack or basic.nack of the broker's.
func (s *session) settleConfirm(ch *channel, tag uint64, multiple, ack bool) error {
	o := gate.Outcome{Status: access.StatusOK}
	if !ack {
		o = gate.Outcome{Status: access.StatusError, Code: "nack"}
	}
	var failed error
	told, ok := ch.confirms.settle(tag, multiple, func(p publish) {
		s.due--
		o.Masked = p.hits
		if err := s.d.Done(p.pass, o); err != nil {
			failed = err
		}
	})
	switch {
	case failed != nil:
		return failed
	case !ok || !ch.confirms.on:
		return errBroker("it confirmed what it was not sent")
	}
	for _, t := range told {
		s.tellConfirm(ch, t, ack)
	}
	if s.due <= maxDue/2 {
		select {
		case s.room <- struct{}{}:
		default:
		}
	}
	return nil
}

func (s *session) tellConfirm(ch *channel, t confirm, ack bool) {
	s.out = s.out[:0]
	if ack {
		s.out = appendMethod(s.out, ch.number, &basicAck{DeliveryTag: t.tag, Multiple: t.multiple})
	} else {
		s.out = appendMethod(s.out, ch.number, &basicNack{DeliveryTag: t.tag, Multiple: t.multiple})
	}
	_ = s.d.Show(gate.Pass{}, s.out)
}

// countOn numbers a publish where the channel is in confirm mode.
func (c *confirms) countOn() uint64 {
	if !c.on {
		return 0
	}
	return c.count()
}
