package postgres

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
)

// In transaction mode a client's prepared statement outlives the lease of the backend on which it was prepared. The gateway
// keeps the client's name, gives the statement a name of its own on each backend, after what it was prepared from, and
// prepares it again where it is used and not there yet.

// maxHeld is how many statements are kept on one backend.
const maxHeld = 256

// noName is a statement that no backend holds: closing it says CloseComplete and does nothing.
const noName = ownPrefix + "none"

// heldNames are the named statements on one backend, by what they were prepared from.
type heldNames struct {
	byKey    map[string]string
	keys     []string // in the order in which they came
	doubtful []string // names that the server may hold or not: something failed around them
	last     uint64
}

func (h *heldNames) clear() { h.byKey, h.keys, h.doubtful = nil, nil, nil }

// keep forgets the names that the server does not hold any more.
func (h *heldNames) keep(there []string) {
	for key, name := range h.byKey {
		if !slices.Contains(there, name) {
			h.doubt(key)
		}
	}
}

// add names what key stands for. It returns the names that must be closed first.
func (h *heldNames) add(key string) (name string, closed []string) {
	if h.byKey == nil {
		h.byKey = map[string]string{}
	}
	closed, h.doubtful = h.doubtful, nil
	if len(h.keys) >= maxHeld {
		closed = append(closed, h.byKey[h.keys[0]])
		delete(h.byKey, h.keys[0])
		h.keys = h.keys[1:]
	}
	h.last++
	name = ownPrefix + "s" + strconv.FormatUint(h.last, 36)
	h.byKey[key] = name
	h.keys = append(h.keys, key)
	return name, closed
}

// doubt forgets a statement whose Parse was not answered, or not with success.
func (h *heldNames) doubt(key string) {
	name, ok := h.byKey[key]
	if !ok {
		return
	}
	delete(h.byKey, key)
	h.doubtful = append(h.doubtful, name)
	for i := range h.keys {
		if h.keys[i] == key {
			h.keys = append(h.keys[:i:i], h.keys[i+1:]...)
			return
		}
	}
}

// heldKey is what a statement was prepared from: its text, the types of its parameters as the client gave them, the
// catalogue, since a server does not see that a new object hides one that it has found before, and the settings, under which
// a server reads literals once and for all.
func (s *session) heldKey(p *prepared) string {
	c, under := s.cat, s.readingAs()
	if p.keyOf == c && c != nil && p.keyUnder == under {
		return p.key
	}
	key := make([]byte, 0, len(p.text)+64+4*len(p.declared))
	key = append(append(key, p.text...), 0)
	for _, t := range p.declared {
		key = binary.BigEndian.AppendUint32(key, t)
	}
	if c != nil {
		key = append(key, c.Version()...)
	}
	key = append(append(key, 0), under...)
	p.key, p.keyOf, p.keyUnder = string(key), c, under
	return p.key
}

// readingAs tells the settings apart under which texts are read.
func (s *session) readingAs() string {
	if s.under == "" || s.state.restyled {
		s.under, s.state.restyled = s.want, false
		for _, name := range styles {
			s.under += "\x00" + s.state.style[name]
		}
	}
	return s.under
}

// moves reports whether a statement is known to a backend by a name that the client does not know.
func (s *session) moves(p *prepared) bool { return s.sharing && p.name != "" && !p.bySQL }

// nameOn returns what a statement is called on the leased backend.
func (s *session) nameOn(p *prepared) string {
	if !s.moves(p) {
		return p.name
	}
	return s.m.names.byKey[s.heldKey(p)]
}

// stageParse stages a Parse, under the backend's own name where the statement can move.
func (s *session) stageParse(permit gate.Permit, f frame, p *prepared) (held string, err error) {
	p.lease = s.leases
	if !s.moves(p) {
		return "", s.stageOr(permit, f)
	}
	held = s.heldKey(p)
	s.m.names.doubt(held) // the server answers a second Parse as it does the first, errors included
	name, err := s.nameAnew(held)
	if err != nil {
		return "", err
	}
	if permit.Zero() {
		return held, s.g.ControlOwn(appendParse(nil, name, ""))
	}
	return held, s.g.StageRenamed(permit, gate.Renaming{Length: f.from + 1, At: f.from + head, Was: p.name, Is: name})
}

// nameAnew names a statement on the backend, and closes what must go for it.
func (s *session) nameAnew(key string) (string, error) {
	name, closed := s.m.names.add(key)
	for _, c := range closed {
		if err := s.g.ControlOwn(appendTarget(nil, msgClose, 'S', c)); err != nil {
			return "", err
		}
		s.push(expect{kind: msgClose, own: true, target: 'S', name: c})
	}
	return name, nil
}

// prepareAgain prepares a statement on the leased backend, under the permit of what is about to use it, where it is not
// there yet.
func (s *session) prepareAgain(permit gate.Permit, p *prepared) error {
	name, held := p.name, ""
	switch {
	case !s.sharing || p.bySQL || p.name == "" && p.lease == s.leases || p.name != "" && s.nameOn(p) != "":
		return nil
	case p.name != "":
		var err error
		held = s.heldKey(p)
		if name, err = s.nameAnew(held); err != nil {
			return err
		}
	}
	p.lease = s.leases
	e := expect{kind: msgParse, own: true, held: held}
	if permit.Zero() {
		s.push(e)
		return s.g.ControlOwn(appendParse(nil, name, ""))
	}
	tail := binary.BigEndian.AppendUint16([]byte{0}, uint16(len(p.declared)))
	for _, t := range p.declared {
		tail = binary.BigEndian.AppendUint32(tail, t)
	}
	frame, at := openFrame(nil, msgParse)
	frame = append(append(frame, name...), 0)
	text := s.g.Judged(permit)
	binary.BigEndian.PutUint32(frame[at:], uint32(len(frame)-at+len(text)+len(tail)))
	s.push(e)
	return s.g.Restate(permit, frame, tail)
}

// stageBind stages a Bind, with the statement's name on the backend.
func (s *session) stageBind(p *portal, f frame) error {
	if !s.moves(p.stmt) {
		return s.stageOr(p.permit, f)
	}
	name := s.nameOn(p.stmt)
	behind := len(p.name) + 1 // the portal's name comes first
	if p.permit.Zero() {
		frame, at := openFrame(nil, msgBind)
		frame = append(append(frame, f.body[:behind]...), name...)
		return s.g.ControlOwn(closeFrame(append(frame, f.body[behind+len(p.stmt.name):]...), at))
	}
	return s.g.StageRenamed(p.permit, gate.Renaming{Length: f.from + 1, At: f.from + int64(head+behind), Was: p.stmt.name, Is: name})
}

// describeMoved asks for the columns of a statement under its name on the backend. Where it is not there yet it is judged
// and prepared once more.
func (s *session) describeMoved(ctx context.Context, p *prepared) error {
	if s.nameOn(p) == "" {
		permit := gate.Permit{}
		j, err := s.understand(ctx, []byte(p.text))
		if err != nil {
			return s.noted(err, len(p.text))
		}
		if len(j.stmts) == 1 {
			r, err := s.ask(ctx, j.stmts[0], gate.Request{Prepare: true})
			if err != nil {
				return err
			}
			permit = r.permit
		}
		if err := s.prepareAgain(permit, p); err != nil {
			return err
		}
		if !permit.Zero() {
			if err := s.g.Done(permit, gate.Outcome{Status: access.StatusOK}); err != nil {
				return err
			}
		}
	}
	return s.g.ControlOwn(appendTarget(nil, msgDescribe, 'S', s.nameOn(p)))
}
