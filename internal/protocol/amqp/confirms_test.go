package amqp

import (
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// TestConfirms: whatever the broker confirms, in whatever order and by however many at once, each publish that reached it is answered
// once, by the number that the client gave it, and no answer for several spans a publish that the gateway has refused, unless the client
// can tell that it is answered already.
func TestConfirms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := confirms{on: true}
		refused, settled := map[uint64]bool{}, map[uint64]bool{} // by the client's numbers
		var byBroker []uint64                                    // the client's number of each that was sent
		low := uint64(0)                                         // all up to here are answered
		answered := func(tag uint64) {
			if settled[tag] {
				t.Fatalf("publish %d is answered twice", tag)
			}
			settled[tag] = true
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				tag := c.count()
				c.sent(tag, gate.Pass{}, 0)
				byBroker = append(byBroker, tag)
			case 2:
				tag := c.count()
				c.refuse(tag)
				refused[tag] = true
				answered(tag)
			default:
				if len(byBroker) == 0 {
					continue
				}
				tag := rapid.Uint64Range(1, uint64(len(byBroker))).Draw(t, "tag")
				multiple := rapid.Bool().Draw(t, "multiple")
				was := settled[byBroker[tag-1]]
				n := 0
				told, ok := c.settle(tag, multiple, func(publish) { n++ })
				if ok == (was && !multiple) {
					t.Fatalf("confirm of %d (%t): %t", tag, multiple, ok)
				}
				before := len(settled)
				for _, a := range told {
					from := a.tag
					if a.multiple {
						from = low + 1
					}
					for i := from; i <= a.tag; i++ {
						if a.multiple && refused[i] && i > low && !allBelow(settled, i) {
							t.Fatalf("%+v spans %d, which was refused", a, i)
						}
						if !settled[i] {
							answered(i)
						}
					}
					for settled[low+1] {
						low++
					}
				}
				if len(settled)-before != n {
					t.Fatalf("%d publishes have an outcome, and %d an answer: %+v", n, len(settled)-before, told)
				}
			}
			for settled[low+1] {
				low++
			}
		}
		told, _ := c.settle(0, true, func(publish) {})
		for _, a := range told {
			for i := a.tag; i > 0 && (i == a.tag || a.multiple); i-- {
				settled[i] = true
			}
		}
		if uint64(len(settled)) != c.client || c.waiting() {
			t.Fatalf("%d of %d are answered, %+v", len(settled), c.client, c.list[c.from:])
		}
	})
	var c confirms
	for _, odd := range []uint64{1, 99} {
		if _, ok := c.settle(odd, false, nil); ok {
			t.Error("a confirm of what was never sent is taken")
		}
	}
}

// allBelow reports whether all before a number are answered.
func allBelow(settled map[uint64]bool, tag uint64) bool {
	for i := uint64(1); i < tag; i++ {
		if !settled[i] {
			return false
		}
	}
	return true
}
