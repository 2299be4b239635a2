package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// A flood of messages is recorded by windows: the intent says how many messages of one kind may pass, until when and under
// which policy, and is on record before the first of them leaves. The outcome has their exact number, and the root of the
// Merkle tree over their digests (RFC 6962, section 2.1: leaf i is the SHA-256 of message i), so that whoever has the
// messages can prove that it was these, in this order, and no others.

// mostFloods is how many windows may be open in a session at once.
const mostFloods = 256

// leaf is the digest of one message.
type leaf struct {
	sum   [sha256.Size]byte
	size  int64
	whole bool // the message is complete
}

// flood is a number of messages under one intent.
type flood struct {
	h       *Handle
	because access.Because
	rec     access.Recording
	version uint64
	masked  bool
	action  uint64
	seq     uint64 // of the intent
	began   time.Time
	ends    time.Time
	most    int

	taken   int // messages that were permitted
	staged  int // of those, how many have left
	settled int // of those, how many have an outcome
	bytes   int64
	hidden  int64
	tree    tree
	failed  map[string]int // outcomes that are not ok, by what went wrong
	status  access.Status  // the worst of them
	closed  bool           // takes no more
}

// full reports whether w takes no more messages.
func (w *flood) full(now time.Time) bool {
	return w.closed || w.taken >= w.most || !now.Before(w.ends)
}

// rate counts the messages of a session in the second that is under way.
type rate struct {
	second int64
	n      int
}

// beyond counts a message, and reports whether it is beyond what is recorded one by one.
func (r *rate) beyond(now time.Time, above int) bool {
	if s := now.Unix(); s != r.second {
		r.second, r.n = s, 0
	}
	r.n++
	return r.n > above
}

// floods are those of a session that are not over.
type floods struct {
	open []*flood
	due  map[*flood]struct{} // closed, with messages that have no outcome yet
	rate rate
}

// pass returns the window of h that takes another message under v, or opens one.
func (g *decider) pass(ws *floods, h *Handle, v access.Verdict, rec access.Recording, masked bool, now time.Time) (*flood, error) {
	if w := h.window; w != nil && w.version == g.version && w.because == v.Because && w.rec == rec && w.masked == masked && !w.full(now) {
		w.taken++
		return w, nil
	}
	if h.window != nil {
		g.closeWindow(ws, h.window)
	}
	if len(ws.open) >= mostFloods {
		g.closeWindow(ws, ws.open[0])
	}
	g.action = g.actions.Add(1)
	e := &g.event
	g.describe(e, access.EventActionIntended, h, nil, v)
	e.Window = &access.Window{Messages: rec.Messages, Within: rec.Within}
	seq, err := g.svc.Recorder.Append(e)
	if err != nil {
		return nil, err
	}
	w := &flood{h: h, because: v.Because, rec: rec, version: g.version, masked: masked, action: g.action, seq: seq, began: now,
		ends: now.Add(rec.Within), most: rec.Messages, taken: 1, status: access.StatusOK}
	h.window = w
	ws.open = append(ws.open, w)
	return w, nil
}

// closeWindow lets no more messages into w. Its outcome is recorded once all that it let in have theirs.
func (g *decider) closeWindow(ws *floods, w *flood) {
	w.closed = true
	if w.h.window == w {
		w.h.window = nil
	}
	for i, o := range ws.open {
		if o == w {
			ws.open = append(ws.open[:i], ws.open[i+1:]...)
			break
		}
	}
	if w.settled < w.taken {
		if ws.due == nil {
			ws.due = map[*flood]struct{}{}
		}
		ws.due[w] = struct{}{}
		return
	}
	g.endWindow(w)
}

// settle takes the outcome of one message of w.
func (g *decider) settle(ws *floods, w *flood, o Outcome) {
	w.settled++
	w.hidden += o.Masked
	if o.Status != access.StatusOK {
		what := string(o.Status)
		if o.Code != "" {
			what += " " + o.Code
		}
		if w.failed == nil {
			w.failed = map[string]int{}
		}
		w.failed[what]++
		if w.status != access.StatusError {
			w.status = o.Status
		}
	}
	if w.closed && w.settled == w.taken {
		delete(ws.due, w)
		g.endWindow(w)
	}
}

// endWindow records the outcome of a window that is closed and whose messages all have theirs.
func (g *decider) endWindow(w *flood) {
	root := w.tree.root()
	e := &g.event
	*e = access.Event{Kind: access.EventActionEnded, Session: g.caller.Session, Action: w.action, Time: g.clock(), Status: w.status,
		Rows: int64(w.tree.n), Bytes: w.bytes, Masked: w.hidden, Code: w.code(), Digest: g.recordDigest(w.h, hex.EncodeToString(root[:]))}
	e.Backend = e.Time.Sub(w.began)
	if _, err := g.svc.Recorder.Append(e); err != nil {
		g.failed = err
	}
}

// code says how many messages had which outcome, where not all were well.
func (w *flood) code() string {
	var parts []string
	for what, n := range w.failed {
		parts = append(parts, strconv.Itoa(n)+" "+what)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// tree is a Merkle tree that only remembers what later leaves need: the roots of its perfect subtrees, the largest first.
type tree struct {
	n     uint64
	roots [][sha256.Size]byte
}

// add appends a leaf.
func (t *tree) add(data [sha256.Size]byte) {
	var buf [1 + sha256.Size]byte // RFC 6962: 0x00 before a leaf
	copy(buf[1:], data[:])
	t.roots = append(t.roots, sha256.Sum256(buf[:]))
	t.n++
	for range bits.TrailingZeros64(t.n) {
		k := len(t.roots)
		t.roots[k-2] = node(t.roots[k-2], t.roots[k-1])
		t.roots = t.roots[:k-1]
	}
}

// root returns the root; that of no leaves is the hash of nothing.
func (t *tree) root() [sha256.Size]byte {
	k := len(t.roots)
	if k == 0 {
		return sha256.Sum256(nil)
	}
	r := t.roots[k-1]
	for i := k - 2; i >= 0; i-- {
		r = node(t.roots[i], r)
	}
	return r
}

func node(left, right [sha256.Size]byte) [sha256.Size]byte {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = 1 // RFC 6962: 0x01 before two nodes
	copy(buf[1:], left[:])
	copy(buf[1+sha256.Size:], right[:])
	return sha256.Sum256(buf[:])
}
