package audit

// feed holds written frames until the tree takes them. It is a list of buffers of one size rather than one that grows:
// growing copies everything again, and what it leaves behind is for the garbage collector.
type feed struct {
	chunks [][]byte
	size   int // bytes in chunks
	spare  [][]byte
	list   [][]byte // the list of chunks that was taken before, for reuse
}

// add copies a run of whole frames; no frame lies in two chunks.
func (f *feed) add(frames []byte) {
	f.size += len(frames)
	last := len(f.chunks) - 1
	if last < 0 || cap(f.chunks[last])-len(f.chunks[last]) < len(frames) {
		f.chunks = append(f.chunks, f.fresh(len(frames)))
		last++
	}
	f.chunks[last] = append(f.chunks[last], frames...)
}

// fresh returns an empty chunk with room for n bytes.
func (f *feed) fresh(n int) []byte {
	if i := len(f.spare) - 1; i >= 0 && n <= feedChunk {
		c := f.spare[i]
		f.spare = f.spare[:i]
		return c
	}
	return make([]byte, 0, max(n, feedChunk))
}

// take returns what there is, in order, and empties the feed.
func (f *feed) take() [][]byte {
	chunks := f.chunks
	f.chunks, f.list, f.size = f.list, nil, 0
	return chunks
}

// recycle keeps what take returned for reuse, within bounds.
func (f *feed) recycle(chunks [][]byte) {
	for i, c := range chunks {
		if cap(c) == feedChunk && len(f.spare) < feedSpare {
			f.spare = append(f.spare, c[:0])
		}
		chunks[i] = nil
	}
	f.list = chunks[:0]
}
