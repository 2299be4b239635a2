package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/sql/pgsql"
)

// firstUserOID is the first OID that an object of a user can have (FirstNormalObjectId).
const firstUserOID = 16384

// plan says what becomes of each column of a result.
type plan struct {
	columns []column
	scan    *mask.Scanner // detectors; nil where there are none
}

// column is what becomes of one column.
type column struct {
	mask   access.Mask
	hidden bool // mask applies
	typ    uint32
	format uint16 // 0 is text, 1 is binary
}

// hider keeps what masks need from one result to the next.
type hider struct {
	of     *access.Detection // what scan was made from
	scan   *mask.Scanner
	out    []byte   // room for one value as it is shown
	digits [64]byte // room for a binary number as text
}

// maxScratch is the largest room for a value that is kept for the next.
const maxScratch = 64 << 10

func (s *session) scanner(m access.Masks) (*mask.Scanner, error) {
	d := m.Detect()
	if len(d) == 0 {
		return nil, nil
	}
	h := &s.hider
	if h.of == &d[0] {
		return h.scan, nil
	}
	scan, err := mask.NewScanner(d, s.p.deps.Mask)
	if err != nil {
		return nil, err
	}
	h.of, h.scan = &d[0], scan
	return scan, nil
}

// plan decides for every column of a result, from lineage and from the server's own description of it, which may only
// hide more.
func (s *session) plan(r *run) error {
	m := r.masks
	if m == nil {
		return nil
	}
	p := &plan{columns: make([]column, len(r.fields))}
	var err error
	if p.scan, err = s.scanner(m); err != nil {
		return err
	}
	hides := p.scan != nil
	for i, f := range r.fields {
		c := column{typ: f.typ, format: f.format}
		if r.formats != nil {
			c.format = formatAt(r.formats, i)
		}
		if m.Fields() {
			c.mask, c.hidden = s.columnMask(m, r.u, i, len(r.fields), f)
		}
		hides = hides || c.hidden
		p.columns[i] = c
	}
	r.plan = p
	r.rebuilt = r.rebuilt || hides
	return nil
}

var redact = access.Mask{Strategy: access.MaskRedact}

// columnMask returns the mask of one output. A value that is one masked field as it is stored gets that field's mask; all
// else that may hold one is hidden whole.
func (s *session) columnMask(m access.Masks, u *understood, i, n int, f field) (access.Mask, bool) {
	if !u.known || len(u.outputs) != n || !u.outputs[i].Proven {
		return redact, true
	}
	got, hidden := fieldsMask(m, u.outputs[i])
	if f.table < firstUserOID || s.cat == nil {
		return got, hidden
	}
	sources, proven := s.cat.Sources(f.table, f.attnum)
	own, known := s.cat.Field(f.table, f.attnum)
	if !known || !proven {
		return redact, true
	}
	for _, src := range append(sources, own) {
		if _, ok := m.Field(src); ok && !slices.Contains(u.outputs[i].Fields, src) {
			return redact, true
		}
	}
	return got, hidden
}

// fieldsMask returns the mask of an output by its lineage.
func fieldsMask(m access.Masks, o pgsql.Output) (access.Mask, bool) {
	var got access.Mask
	hidden := false
	for _, f := range o.Fields {
		one, ok := m.Field(f)
		if !ok {
			continue
		}
		if hidden && (one.Strategy != got.Strategy || one.KeepFirst != got.KeepFirst || one.KeepLast != got.KeepLast || one.Unit != got.Unit) {
			return redact, true
		}
		got, hidden = one, true
	}
	if hidden && !o.Bare {
		return redact, true
	}
	return got, hidden
}

// captures reports whether rows of r are still to be kept for the record.
func (s *session) captures(r *run) bool {
	n := s.g.Connection().RecordResults
	return n > 0 && (r.out.Result == nil || !r.out.Result.Truncated)
}

// row deals with a DataRow. Without masks it counts, and passes.
func (s *session) row(e *expect, whole []byte) (bool, error) {
	r := e.current()
	if r == nil || (e.kind != msgQuery && e.kind != msgExecute) {
		return false, broken(ansDataRow)
	}
	if r.over != nil {
		return false, nil
	}
	r.out.Rows++
	if r.plan == nil && r.masks != nil {
		if r.fields == nil && r.stmt != nil {
			r.fields = r.stmt.rows
		}
		if err := s.plan(r); err != nil {
			return false, err
		}
	}
	if !r.rebuilt {
		if r.metered {
			if more, err := s.meter(e, r, len(whole)); !more {
				r.out.Rows--
				return false, err
			}
		}
		r.out.Bytes += int64(len(whole))
		if s.captures(r) {
			s.capture(r, whole[head:])
		}
		return true, nil
	}
	from := len(s.add)
	var at int
	s.add, at = openFrame(s.add, ansDataRow)
	if err := s.rebuild(r, whole[head:]); err != nil {
		return false, err
	}
	s.add = closeFrame(s.add, at)
	if r.metered {
		if more, err := s.meter(e, r, len(s.add)-from); !more {
			s.add = s.add[:from]
			r.out.Rows--
			return false, err
		}
	}
	r.out.Bytes += int64(len(s.add) - from)
	if s.captures(r) {
		s.capture(r, s.add[from+head:])
	}
	return false, nil
}

// rebuild appends the body of a row with its masks applied.
func (s *session) rebuild(r *run, body []byte) error {
	sc := scan{b: body}
	n := sc.count(sc.int16(), 4)
	if r.fields == nil || r.plan == nil { // the columns are not known: nothing of them can be shown
		return s.hideAll(r, n)
	}
	if n != len(r.plan.columns) {
		return broken(ansDataRow)
	}
	s.add = binary.BigEndian.AppendUint16(s.add, uint16(n))
	if !s.applyMasks(r, &sc) || !sc.done() {
		return broken(ansDataRow)
	}
	return nil
}

// applyMasks appends the values of one row, lengths included, with the masks applied. What does not change is copied together
// with its neighbours. It reports whether the values are there.
func (s *session) applyMasks(r *run, sc *scan) bool {
	row, copied := sc.b, 0
	for i := range r.plan.columns {
		c, at := &r.plan.columns[i], len(row)-len(sc.b)
		size := sc.int32()
		absent := size == -1
		var v []byte
		if !absent {
			v = sc.take(int(size))
		}
		if sc.bad {
			return false
		}
		if !c.hidden && (r.plan.scan == nil || absent) {
			continue
		}
		if s.cell(r, c, row[copied:at], v, absent) {
			copied = len(row) - len(sc.b)
		}
	}
	s.add = append(s.add, row[copied:len(row)-len(sc.b)]...)
	return true
}

func (s *session) hideAll(r *run, n int) error {
	s.add = binary.BigEndian.AppendUint16(s.add, uint16(n))
	for range n {
		s.add = append(s.add, 0xff, 0xff, 0xff, 0xff)
		r.out.Masked++
	}
	return nil
}

// cell appends what stands for a value, length first, after what comes before it in the row. It reports whether anything
// does: if not, it appends nothing, and the value stays as it is. A NULL stays one, but for columns whose mask is the word
// that stands for any value: whether a value is there is part of it.
func (s *session) cell(r *run, c *column, before, v []byte, absent bool) bool {
	if absent && (!c.hidden || c.mask.Strategy != access.MaskRedact) {
		return false
	}
	out, null, changed := s.show(s.hider.out[:0], c, r.plan.scan, v)
	if !changed {
		return false
	}
	s.add = append(s.add, before...)
	if null {
		s.add = append(s.add, 0xff, 0xff, 0xff, 0xff)
	} else {
		s.add = append(binary.BigEndian.AppendUint32(s.add, uint32(len(out))), out...)
	}
	if cap(out) <= maxScratch {
		s.hider.out = out
	}
	r.out.Masked++
	return true
}

// show appends v as the client may see it, where that is not v itself.
func (s *session) show(dst []byte, c *column, sc *mask.Scanner, v []byte) (out []byte, null, changed bool) {
	if c.hidden {
		out, null = s.hide(dst, c, v)
		return out, null, true
	}
	if sc == nil {
		return dst, false, false
	}
	text, prefix := scannable(c, v, s.hider.digits[:0])
	start := len(dst)
	dst = append(dst, v[:max(prefix, 0)]...)
	found, hits := sc.Mask(dst[len(dst):], text) // into the spare room of dst, where it is enough
	switch {
	case hits == 0:
		return dst[:start], false, false
	case prefix < 0:
		return dst[:start], true, true // the type cannot hold a masked text
	}
	return append(dst, found...), false, true
}

// scannable returns the text of a value for detectors, and how many bytes of v stand before it; -1 where what was found
// cannot be replaced inside the value.
func scannable(c *column, v, buf []byte) ([]byte, int) {
	switch {
	case textual(c.typ):
		return v, 0
	case c.typ == oidJSONB && c.format == 1 && len(v) > 0:
		return v[1:], 1
	case c.typ == oidJSONB || c.typ == oidJSON:
		return v, 0
	case c.format == 1 && c.typ == oidInt8 && len(v) == 8:
		return strconv.AppendInt(buf, int64(binary.BigEndian.Uint64(v)), 10), -1
	case c.format == 1 && c.typ == oidNumeric:
		return numericText(buf, v), -1
	}
	return v, -1
}

// numericText appends the digits of a binary numeric: groups of four, from a weight of 10000 on.
func numericText(buf, v []byte) []byte {
	sc := scan{b: v}
	n, weight := sc.int16(), sc.int16()
	sc.take(4) // sign and scale
	for i := range sc.count(n, 2) {
		if i == weight+1 {
			buf = append(buf, '.')
		}
		d := sc.int16()
		buf = append(buf, byte('0'+d/1000%10), byte('0'+d/100%10), byte('0'+d/10%10), byte('0'+d%10))
	}
	for range max(weight+1-n, 0) { // groups of zeros at the end are not sent
		buf = append(buf, "0000"...)
	}
	return bytes.TrimLeft(buf, "0")
}

// textual reports whether a type's binary form is its text, and any text is a value of it.
func textual(typ uint32) bool {
	const oidName = 19
	return typ == oidText || typ == oidVarchar || typ == oidBPChar || typ == oidUnknown || typ == oidName
}

// hide appends what stands for a hidden value; null where its type cannot hold a mask.
func (s *session) hide(dst []byte, c *column, v []byte) (out []byte, null bool) {
	switch {
	case c.mask.Strategy == access.MaskNull:
		return dst, true
	case c.mask.Strategy == access.MaskTruncate:
		return truncate(dst, c, v)
	case textual(c.typ):
		return mask.Value(dst, v, c.mask, s.p.deps.Mask, s.g.Connection().Name), false
	case c.typ == oidJSON || c.typ == oidJSONB:
		if c.typ == oidJSONB && c.format == 1 {
			dst = append(dst, 1)
		}
		dst = append(dst, '"')
		dst = mask.Value(dst, v, redact, s.p.deps.Mask, s.g.Connection().Name)
		return append(dst, '"'), false
	}
	return dst, true
}

// result returns what is kept of r's rows.
func (s *session) result(r *run) *access.Result {
	if r.out.Result == nil {
		r.out.Result = &access.Result{}
		for _, f := range r.fields {
			r.out.Result.Columns = append(r.out.Result.Columns, f.name)
		}
	}
	return r.out.Result
}

// capture keeps a row, as the client sees it, for the record.
func (s *session) capture(r *run, body []byte) {
	res := s.result(r)
	if len(res.Rows) >= s.g.Connection().RecordResults || len(body) > maxCaptured {
		res.Truncated = true
		return
	}
	sc := scan{b: body}
	n := sc.count(sc.int16(), 4)
	row := make([]*string, n)
	for i := range n {
		size := sc.int32()
		if size < 0 {
			continue
		}
		v := sc.take(int(size))
		text := string(v)
		if i < len(r.fields) && columnFormat(r, i) == 1 {
			text = binaryText(v, r.fields[i].typ)
		}
		row[i] = &text
	}
	res.Rows = append(res.Rows, row)
}

// maxCaptured is the largest row that is kept for the record, in bytes.
const maxCaptured = 16 << 10

func columnFormat(r *run, i int) uint16 {
	if r.formats != nil || r.stmt != nil {
		return formatAt(r.formats, i)
	}
	return r.fields[i].format
}
