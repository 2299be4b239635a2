package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// copies deals with the messages of a COPY.
func (s *session) copies(e *expect, kind byte, whole []byte) (bool, error) {
	r := e.current()
	if r == nil || (e.kind != msgQuery && e.kind != msgExecute) || r.u.a.Copy == nil {
		return false, broken(kind)
	}
	if r.over != nil {
		return false, nil
	}
	switch kind {
	case ansCopyIn:
		s.copying = true
		r.sum = sha256.New()
		s.forgetSyncs()
	case msgCopyData:
		r.out.Rows++
		if r.rebuilt {
			return false, s.copyRow(e, r, whole[head:])
		}
		if r.metered {
			if more, err := s.meter(e, r, len(whole)); !more {
				r.out.Rows--
				return false, err
			}
		}
		r.out.Bytes += int64(len(whole))
	}
	return true, nil
}

// forgetSyncs drops the Syncs that the client sent before it knew that rows are asked for: the server, which is copying by
// the time it reads them, ignores them, and no ReadyForQuery answers them.
func (s *session) forgetSyncs() {
	next := s.head + 1
	for next < len(s.queue) && s.queue[next].kind == msgSync {
		s.queue = slices.Delete(s.queue, next, next+1)
	}
}

// copyIn relays the client's rows until it says that they end, or the server has something to say. Where the session ends in
// the middle, what was sent until then is on record.
func (s *session) copyIn(ctx context.Context) error {
	r := s.due().current()
	err := s.copyRows(ctx, r)
	if err == nil || r.sum == nil || s.due() == nil || s.due().current() != r {
		return err
	}
	out := r.digested()
	out.Status = access.StatusCancelled
	if done := s.g.Done(r.permit, out); done != nil {
		err = errors.Join(err, done)
	}
	return err
}

func (s *session) copyRows(ctx context.Context, r *run) error {
	in := s.g.Client()
	s.consume()
	for {
		kind, size, ok, err := peekHead(in.Unread())
		switch {
		case err != nil:
			return err
		case ok && size > s.limits.Message:
			return sayCode("54000", fault.Malformed, "message is larger than the gateway's limit", "Raise limits.max_message, or send less at a time.")
		case ok && size <= len(in.Unread()):
			over, err := s.copyFrame(r, kind, size)
			if err != nil || over {
				return err
			}
			continue
		}
		if err := errors.Join(s.send(), s.g.Flush()); err != nil {
			return err
		}
		other, err := gate.Await(ctx, in, s.be, s.g.Now())
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
		case err != nil && other:
			return fault.Wrap(fault.Backend, "postgres.copyIn", err, "the backend closed the connection")
		case err != nil:
			return err
		case other:
			s.copying = false // to look at what it says; a COPY that goes on is taken up below
			err := s.answers()
			s.copying = err == nil && s.due() != nil && s.due().current() == r
			if err != nil || !s.copying {
				return err
			}
		}
	}
}

// digested is the outcome of a run with the digest of what the client has sent for it.
func (r *run) digested() gate.Outcome {
	if r.sum != nil {
		r.out.Digest = hex.EncodeToString(r.sum.Sum(nil))
	}
	return r.out
}

// copyFrame takes one message of a client that is sending rows; over says that they have ended.
func (s *session) copyFrame(r *run, kind byte, size int) (over bool, err error) {
	in := s.g.Client()
	from := in.Offset()
	switch kind {
	case msgCopyData:
		err = s.g.Follow(r.permit, from, from+int64(size))
		r.out.Bytes += int64(size - head)
		_, _ = r.sum.Write(in.Unread()[head:size])
	case msgCopyDone, msgCopyFail:
		err = s.g.Follow(r.permit, from, from+int64(size))
		over = true
		if err == nil && s.due().kind == msgExecute { // the server says how it went at the client's Sync, which is not read yet
			err = s.g.ControlOwn([]byte{msgFlush, 0, 0, 0, 4})
		}
	case msgFlush, msgSync: // the server ignores them here: nothing is due for them
		if s.due().kind == msgExecute { // a simple COPY may have failed by now: then it would answer
			err = s.g.Control(from, from+int64(size))
		}
	case msgTerminate:
		return true, fault.New(fault.Malformed, "postgres.copyIn", "the client left in the middle of a COPY")
	default:
		return true, sayCode("08P01", fault.Malformed, "unexpected message during COPY from stdin", "")
	}
	if err != nil {
		return true, err
	}
	in.Skip(size)
	if over || s.g.Staged() >= maxSegment {
		err = s.g.Flush()
	}
	s.copying = !over
	return over, err
}

// copyRow appends one row of a COPY to the client with its masks applied. Every message is one row: what is not is cut.
func (s *session) copyRow(e *expect, r *run, body []byte) error {
	if r.plan == nil {
		if err := s.planCopy(r); err != nil {
			return err
		}
	}
	from := len(s.add)
	var at int
	s.add, at = openFrame(s.add, msgCopyData)
	var ok bool
	switch c := r.u.a.Copy; c.Format {
	case "binary":
		ok = s.copyBinary(r, body)
	case "csv":
		ok = s.copyText(r, body, csvCells{})
	default:
		ok = s.copyText(r, body, textCells{})
	}
	if !ok {
		return broken(msgCopyData)
	}
	s.add = closeFrame(s.add, at)
	if r.metered {
		if more, err := s.meter(e, r, len(s.add)-from); !more {
			s.add = s.add[:from]
			r.out.Rows--
			return err
		}
	}
	r.out.Bytes += int64(len(s.add) - from)
	return nil
}

// planCopy decides for every column of a COPY: there is no RowDescription, so lineage decides alone.
func (s *session) planCopy(r *run) error {
	c := r.u.a.Copy
	inner := &understood{outputs: c.Outputs, known: c.OutputsKnown}
	p := &plan{columns: make([]column, len(c.Outputs))}
	var err error
	m := r.masks
	if m == nil {
		return errUnmasked
	}
	if p.scan, err = s.scanner(m); err != nil {
		return err
	}
	for i, o := range c.Outputs {
		p.columns[i] = column{typ: o.TypeOID}
		if c.Format == "binary" {
			p.columns[i].format = 1
		}
		if m.Fields() {
			p.columns[i].mask, p.columns[i].hidden = s.columnMask(m, inner, i, len(c.Outputs), field{})
		}
	}
	r.plan = p
	return nil
}

// plainCopy reports whether the gateway can rebuild the rows of a COPY: formats with their default marks.
func plainCopy(c *pgsql.Copy) bool {
	return c.OutputsKnown && c.Delimiter == "" && !c.NullSet && c.Quote == "" && c.Escape == "" && c.Encoding == ""
}

// cells is a text format of COPY: it cuts a line into cells and writes cells.
type cells interface {
	// cut returns the first cell of line, unescaped into buf, and the rest; null where the cell is NULL.
	cut(line, buf []byte) (cell []byte, null bool, rest []byte, more, ok bool)
	put(dst, cell []byte) []byte
	putNull(dst []byte) []byte
	comma() byte
}

// copyText rebuilds one line.
func (s *session) copyText(r *run, line []byte, f cells) bool {
	if r.out.Rows == 1 && r.u.a.Copy.Header != "" && bytes.Equal(line, headerLine(r.u.a.Copy.Outputs, f)) {
		s.add = append(s.add, line...)
		return true
	}
	if len(line) == 0 || line[len(line)-1] != '\n' {
		return false
	}
	rest, more := bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), true
	for i := range r.plan.columns {
		if !more {
			return false
		}
		var cell []byte
		var null, ok bool
		cell, null, rest, more, ok = f.cut(rest, nil)
		if !ok {
			return false
		}
		if i > 0 {
			s.add = append(s.add, f.comma())
		}
		s.copyCell(r, &r.plan.columns[i], cell, null, f)
	}
	s.add = append(s.add, '\n')
	return !more
}

// headerLine is the line of names that a COPY with a header begins with. Any other first line is taken for a row, whatever
// the option says.
func headerLine(outputs []pgsql.Output, f cells) []byte {
	var line []byte
	for i, o := range outputs {
		if i > 0 {
			line = append(line, f.comma())
		}
		line = f.put(line, []byte(o.Name))
	}
	return append(line, '\n')
}

func (s *session) copyCell(r *run, c *column, cell []byte, null bool, f cells) {
	if null && (!c.hidden || c.mask.Strategy != access.MaskRedact) {
		s.add = f.putNull(s.add)
		return
	}
	out, null, changed := s.show(nil, c, r.plan.scan, cell)
	if changed {
		r.out.Masked++
	} else {
		out = cell
	}
	if null {
		s.add = f.putNull(s.add)
		return
	}
	s.add = f.put(s.add, out)
}

// binaryMark begins a COPY in binary format.
var binaryMark = []byte("PGCOPY\n\xff\r\n\x00")

// copyBinary rebuilds a piece of a COPY in binary format: the header where it is there, then one row or the trailer.
func (s *session) copyBinary(r *run, b []byte) bool {
	if bytes.HasPrefix(b, binaryMark) {
		sc := scan{b: b[len(binaryMark):]}
		sc.take(4)
		sc.take(int(sc.int32()))
		if sc.bad {
			return false
		}
		s.add = append(s.add, b[:len(b)-len(sc.b)]...)
		b = sc.b
	}
	for len(b) > 0 {
		sc := scan{b: b}
		n := sc.int16()
		if n == -1 && sc.done() {
			s.add = append(s.add, 0xff, 0xff)
			return true
		}
		if n != len(r.plan.columns) {
			return false
		}
		s.add = binary.BigEndian.AppendUint16(s.add, uint16(n))
		if !s.applyMasks(r, &sc) {
			return false
		}
		b = sc.b
	}
	return true
}
