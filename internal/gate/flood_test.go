package gate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// merkle is RFC 6962's definition of the root, word by word.
func merkle(leaves [][]byte) [32]byte {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		a, b := merkle(leaves[:k]), merkle(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, a[:]...), b[:]...))
	}
}

// TestFloodsAreRecordedByWindows: beyond the rate that policy sets one intent covers many messages, and its outcome proves them.
func TestFloodsAreRecordedByWindows(t *testing.T) {
	for n := range 40 {
		var leaves [][]byte
		var tr tree
		for i := range n {
			sum := sha256.Sum256([]byte{byte(i)})
			leaves = append(leaves, sum[:])
			tr.add(sum)
		}
		if tr.root() != merkle(leaves) {
			t.Errorf("the root of %d leaves is not RFC 6962's", n)
		}
	}
	var three tree
	for _, m := range []string{"a", "b", "c"} {
		three.add(sha256.Sum256([]byte(m)))
	}
	if root := three.root(); hex.EncodeToString(root[:]) != "cac3d448d4e20a2ad5eae1f500e63c2a7f9217cd14572ba7fd22e26dc1ec2648" {
		t.Error("the root of three messages is not the one that the format's reference has")
	}
	d := newDesk()
	now := time.Unix(1_000_000, 0)
	d.decide = func(*access.Statement, *access.Input) access.Verdict {
		return access.Verdict{Effect: access.Allow, Record: access.Recording{Above: 3, Messages: 10, Within: time.Second}}
	}
	l := openLine(t, d)
	l.Lock()
	l.Gate.clock = func() time.Time { return now }
	l.Unlock()
	var sent bytes.Buffer
	var leaves [][]byte
	for i := range 3 + 25 {
		text := "publish " + string(rune('a'+i))
		sent.WriteString(text + "\n")
		if sum := sha256.Sum256([]byte(text)); i >= 3 {
			leaves = append(leaves, sum[:])
		}
	}
	l.say(sent.String())
	l.gets(d.backend, sent.String())
	_ = d.client.Close()
	if err := l.ended(); err != nil {
		t.Fatal(err)
	}
	var windows []access.Event
	intents := l.log.of(access.EventActionIntended)
	for _, e := range intents {
		if e.Window != nil {
			windows = append(windows, e)
		}
	}
	if len(intents) != 3+3 || len(windows) != 3 || windows[0].Window.Messages != 10 {
		t.Fatalf("%d intents, %d windows: %+v", len(intents), len(windows), intents)
	}
	ended := map[uint64]access.Event{}
	for _, e := range l.log.of(access.EventActionEnded) {
		ended[e.Action] = e
	}
	if len(ended) != 6 {
		t.Errorf("%d outcomes of 6 intents", len(ended))
	}
	for i, w := range windows {
		e, part := ended[w.Action], leaves[i*10:min(i*10+10, len(leaves))]
		root := merkle(part)
		if e.Rows != int64(len(part)) || e.Digest != hex.EncodeToString(root[:]) || e.Status != access.StatusOK || e.Bytes != int64(len(part)*9) {
			t.Errorf("window %d: %+v", i, e)
		}
	}
}

// TestRecordingsOfOneKind: a message that policy wants recorded more closely is in no window that was opened for others, and where each
// is to be recorded by itself a window holds one, also where so many have no outcome yet that there is no other place for it.
func TestRecordingsOfOneKind(t *testing.T) {
	for name, c := range map[string]struct {
		record func(i int) access.Recording
		most   []int // of the windows
	}{
		"closer": {func(i int) access.Recording {
			return access.Recording{Messages: 10 - 8*(i/3), Within: time.Minute}
		}, []int{10, 2, 2}},
		"each": {func(i int) access.Recording { return access.Recording{Each: true} }, []int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			i := 0
			d.decide = func(*access.Statement, *access.Input) access.Verdict {
				i++
				return access.Verdict{Effect: access.Allow, Record: c.record(i - 1)}
			}
			l := openLine(t, d)
			n := 6
			if name == "each" {
				n = testLimits.Actions + 2
			}
			l.Lock()
			i = 0
			l.seen = func(text string, p Pass, err error) {
				l.Count(p, sha256.Sum256([]byte(text)), len(text))
				if err := errors.Join(err, l.Stage(p)); err != nil {
					t.Error(err)
				}
			}
			l.Unlock()
			sent := strings.Repeat("dynamic\n", n)
			l.say(sent)
			l.gets(d.backend, sent)
			_ = d.client.Close()
			if err := l.ended(); err != nil {
				t.Fatal(err)
			}
			var most []int
			for _, e := range l.log.of(access.EventActionIntended) {
				if e.Window != nil {
					most = append(most, e.Window.Messages)
				}
			}
			if !slices.Equal(most, c.most) {
				t.Errorf("windows of up to %v messages, want %v", most, c.most)
			}
		})
	}
}

// TestFloodNeedsItsRecord: where the intent does not last, nothing of what it covers leaves.
func TestFloodNeedsItsRecord(t *testing.T) {
	d := newDesk()
	l := openLine(t, d)
	broken := fault.New(fault.Unavailable, "test", "the audit log cannot be written")
	l.log.mu.Lock()
	l.log.lasting = func(uint64) error { return broken }
	l.log.mu.Unlock()
	l.say("publish a\npublish b\n")
	if err := l.ended(); !errors.Is(err, broken) {
		t.Errorf("ended with %v", err)
	}
	_ = d.backend.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := d.backend.Read(make([]byte, 8)); n > 0 {
		t.Error("something left without a record")
	}
}
