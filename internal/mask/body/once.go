package body

// keptMemory bounds what is kept for the next document.
const keptMemory = 256 << 10

// Document hides values inside one document that is here whole: it appends what becomes of it to dst, and returns how many values it hid.
// A document that cannot be read is an error, and dst as it was.
func (r *Rules) Document(dst, doc []byte, kind Kind) (out []byte, hits int64, err error) {
	m := r.spare(kind, len(doc)+1)
	if m == nil {
		if m, err = r.New(kind, Options{Held: len(doc) + 1}); err != nil {
			return dst, 0, err
		}
	}
	out, err = m.Write(dst, doc)
	if err == nil {
		out, err = m.Close(out)
	}
	hits = m.Hits()
	r.keep(m)
	if err != nil {
		return dst, 0, err
	}
	return out, hits, nil
}

// spare returns a Masker that read another document before; nil where there is none.
func (r *Rules) spare(kind Kind, held int) *Masker {
	if kind != JSON || r.whole != nil {
		return nil
	}
	m, _ := r.spares.Get().(*Masker)
	if m == nil {
		return nil
	}
	if j, ok := m.s.(*jsonStream); ok {
		j.held, j.short = held, min(held, window)
	}
	return m
}

// keep keeps a Masker for the next document.
func (r *Rules) keep(m *Masker) {
	j, ok := m.s.(*jsonStream)
	if !ok || j.many || cap(j.buf)+cap(j.text)+cap(j.plain)+cap(j.lines.scratch)+cap(j.lines.plain)+cap(j.name) > keptMemory {
		return
	}
	m.err = nil
	j.again()
	r.spares.Put(m)
}
