package amqp

import (
	"slices"
	"sort"

	"gatehouse/internal/fault"
)

// maxRuns bounds how many gaps a client may leave in what it acknowledges.
const maxRuns = 1 << 16

// tags are the deliveries of a channel that the client was shown and has not acknowledged. What is on its way to it, and may turn out to be
// refused, is none of them: nobody acknowledges what they were not given.
type tags struct {
	last uint64 // the highest that was shown
	open []run  // of those that wait for an acknowledgement, in their order
}

// run is some tags in a row.
type run struct{ from, to uint64 }

// shown notes a delivery; settled says that it waits for no acknowledgement.
func (t *tags) shown(tag uint64, settled bool) error {
	if settled { // and direct replies have the tag of what comes next
		return nil
	}
	if tag <= t.last {
		return errBroker("a delivery tag for the second time")
	}
	t.last = tag
	if n := len(t.open); n > 0 && t.open[n-1].to == tag-1 {
		t.open[n-1].to = tag
		return nil
	}
	t.open = append(t.open, run{tag, tag})
	return nil
}

// settle notes an acknowledgement.
func (t *tags) settle(tag uint64, multiple bool) {
	i := sort.Search(len(t.open), func(i int) bool { return t.open[i].to >= tag })
	if multiple {
		t.open = slices.Delete(t.open, 0, i)
		i = 0
	}
	if i == len(t.open) || t.open[i].from > tag {
		return
	}
	switch r := &t.open[i]; {
	case r.to == tag && (multiple || r.from == tag):
		t.open = slices.Delete(t.open, i, i+1)
	case multiple || r.from == tag:
		r.from = tag + 1
	case r.to == tag:
		r.to--
	default:
		t.open = slices.Insert(t.open, i+1, run{tag + 1, r.to})
		t.open[i].to = tag - 1
	}
}

// all returns the last that waits for an acknowledgement; 0 where none does.
func (t *tags) all() uint64 {
	if n := len(t.open); n > 0 {
		return t.open[n-1].to
	}
	return 0
}

// acknowledge passes basic.ack, basic.nack or basic.reject on. Everything is everything that the client was shown: the broker would take it
// for what is under way too.
func (s *session) acknowledge(ch *channel, f *frame, m method) error {
	tag, multiple := acknowledged(m)
	if tag == nil {
		return nil
	}
	everything := *tag == 0 && multiple
	switch {
	case everything && ch.transacts:
		return s.refuseChannel(ch, m.id(), fault.New(fault.Malformed, "amqp.acknowledge", "in a transaction, acknowledge what you were given by its tag"))
	case everything:
		if *tag = ch.tags.all(); *tag == 0 {
			return nil
		}
	case *tag == 0 || *tag > ch.tags.last:
		return s.refuseChannel(ch, m.id(), &exception{code: codePrecondition, cause: m.id(),
			err: fault.New(fault.Malformed, "amqp.acknowledge", "unknown delivery tag %d", *tag)})
	}
	if !ch.transacts { // a rollback takes acknowledgements back
		ch.tags.settle(*tag, multiple)
	}
	if len(ch.tags.open) > maxRuns {
		return s.refuseChannel(ch, m.id(), fault.New(fault.Unavailable, "amqp.acknowledge", "too many deliveries wait between acknowledged ones"))
	}
	if everything {
		return s.d.ControlOwn(appendMethod(nil, ch.number, m))
	}
	return s.control(ch, f, m, 0)
}

// acknowledged returns what a method acknowledges.
func acknowledged(m method) (tag *uint64, multiple bool) {
	switch m := m.(type) {
	case *basicAck:
		return &m.DeliveryTag, m.Multiple
	case *basicNack:
		return &m.DeliveryTag, m.Multiple
	case *basicReject:
		return &m.DeliveryTag, false
	}
	return nil, false
}
