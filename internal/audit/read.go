package audit

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Record is one line of the log as it is read back.
type Record struct {
	Epoch  uint32
	Seq    uint64
	Erased bool // its payload was erased; Event is zero then
	Event  access.Event
	Raw    json.RawMessage // the payload itself, as docs/reference/audit-format.md describes it
}

// MarshalJSON implements json.Marshaler: sequence, epoch and the recorded payload.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Seq    uint64          `json:"seq"`
		Epoch  uint32          `json:"epoch"`
		Erased bool            `json:"erased,omitempty"`
		Event  json.RawMessage `json:"event,omitempty"`
	}{r.Seq, r.Epoch, r.Erased, r.Raw})
}

// Read returns the records of the log in dir from a sequence on, in order. It reads also while the log is written, and
// ends where what follows is not yet whole. It checks frames and sequence, not signatures: package audit/verify does.
func Read(dir string, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		epochs, err := listEpochs(dir)
		if err != nil {
			yield(Record{}, fault.Wrap(fault.NotFound, "audit.Read", err, "no audit log in %s", dir))
			return
		}
		for _, n := range epochs {
			if !readEpoch(epochDir(dir, n), from, yield) {
				return
			}
		}
	}
}

// readEpoch returns whether the reader wants more.
func readEpoch(dir string, from uint64, yield func(Record, error) bool) bool {
	firsts, err := listSegments(dir)
	if err != nil {
		return yield(Record{}, err)
	}
	for i, first := range firsts {
		if i+1 < len(firsts) && firsts[i+1] <= from {
			continue
		}
		if !readSegment(segmentPath(dir, first), from, i == len(firsts)-1, yield) {
			return false
		}
	}
	return true
}

func readSegment(path string, from uint64, lastOne bool, yield func(Record, error) bool) bool {
	r, err := openSegment(path)
	if err != nil {
		yield(Record{}, err)
		return false
	}
	defer r.close()
	for {
		f, err := r.read()
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) && lastOne {
			return true
		}
		if err != nil {
			yield(Record{}, fault.Wrap(fault.Conflict, "audit.Read", err, "the audit log is damaged at record %d: run gatehouse audit verify", r.next))
			return false
		}
		if f.seq < from {
			continue
		}
		rec := Record{Epoch: r.header.epoch, Seq: f.seq, Erased: f.erased}
		if !f.erased {
			rec.Raw = slices.Clone(f.payload)
			if rec.Event, err = decodeEvent(f.payload); err != nil {
				yield(rec, err)
				return false
			}
		}
		if !yield(rec, nil) {
			return false
		}
	}
}
