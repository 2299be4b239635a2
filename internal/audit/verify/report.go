package verify

import (
	"fmt"
	"strings"
	"time"
)

// Fault is the first thing that is wrong with a log, and exactly where.
type Fault struct {
	File   string `json:"file,omitempty"`   // relative to the log's directory
	Offset int64  `json:"offset"`           // bytes into File
	Seq    uint64 `json:"record,omitempty"` // the record's sequence; 0 where it is not about one
	What   string `json:"what"`
}

// Error implements error.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.What)
	if f.Seq > 0 {
		fmt.Fprintf(&b, "; record %d", f.Seq)
	}
	if f.File != "" {
		fmt.Fprintf(&b, "; %s, byte %d", f.File, f.Offset)
	}
	return b.String()
}

// Signed is a checkpoint that was verified.
type Signed struct {
	Origin string    `json:"origin"`
	Size   uint64    `json:"size"` // records under it, of its epoch
	Mode   string    `json:"mode"`
	Time   time.Time `json:"time"`
	Age    string    `json:"age,omitempty"` // at Options.Now
	Key    string    `json:"key"`           // the name of the key
}

// Torn is a tail that is not a whole record, behind everything that is signed: what a crash leaves.
type Torn struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
}

// Epoch is one run of the log between restores.
type Epoch struct {
	Number uint32 `json:"number"`
	Origin string `json:"origin"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"` // First-1 where it has no records
}

// Report is what a verification found.
type Report struct {
	OK          bool     `json:"ok"` // no Fault: every signed record is as it was signed
	Fault       *Fault   `json:"fault,omitempty"`
	Records     uint64   `json:"records"`
	Signed      uint64   `json:"signed"`   // under a verified checkpoint
	Unsigned    uint64   `json:"unsigned"` // behind the newest checkpoint: nobody vouches for these
	Erased      uint64   `json:"erased"`   // payloads that were erased; their commitments verify
	Checkpoints int      `json:"checkpoints"`
	Newest      *Signed  `json:"newest,omitempty"`
	Outside     *Signed  `json:"outside,omitempty"` // the checkpoint kept elsewhere that was given
	Torn        []Torn   `json:"torn,omitempty"`
	Intents     uint64   `json:"intents"`
	Outcomes    uint64   `json:"outcomes"`
	Unknown     uint64   `json:"unknown"`            // intents without an outcome
	Windows     uint64   `json:"windows,omitempty"`  // of the outcomes, those of intents that cover many messages
	Messages    int64    `json:"messages,omitempty"` // in these
	Epochs      []Epoch  `json:"epochs"`
	Keys        []string `json:"keys"`            // public keys that signed, in order
	Notes       []string `json:"notes,omitempty"` // what is not wrong and should be known
}

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	if r.OK {
		fmt.Fprintf(&b, "OK: %d records, %d of them signed, %d checkpoints\n", r.Records, r.Signed, r.Checkpoints)
	} else {
		fmt.Fprintf(&b, "FAULT: %s\n", r.Fault)
		fmt.Fprintf(&b, "Before it: %d records, %d of them signed, %d checkpoints\n", r.Records, r.Signed, r.Checkpoints)
	}
	fmt.Fprintf(&b, "Actions: %d intents, %d outcomes, %d unknown\n", r.Intents, r.Outcomes, r.Unknown)
	if r.Windows > 0 {
		fmt.Fprintf(&b, "Messages: %d in %d windows, none of which holds more than its intent covers\n", r.Messages, r.Windows)
	}
	if r.Erased > 0 {
		fmt.Fprintf(&b, "Erased: %d payloads; what they were committed to still verifies\n", r.Erased)
	}
	if r.Unsigned > 0 {
		fmt.Fprintf(&b, "Unsigned tail: %d records behind the newest checkpoint are not signed yet\n", r.Unsigned)
	}
	for _, t := range r.Torn {
		fmt.Fprintf(&b, "Torn tail: %s has %d bytes from byte %d on that are no whole record; nothing signed is in them\n", t.File, t.Bytes, t.Offset)
	}
	if r.Newest == nil {
		b.WriteString("Newest checkpoint: none: nothing here is signed\n")
	} else {
		fmt.Fprintf(&b, "Newest checkpoint: %s (%s), key %s, %s, %d records of %s\n",
			r.Newest.Time.Format(time.RFC3339), ago(r.Newest.Age), r.Newest.Key, r.Newest.Mode, r.Newest.Size, r.Newest.Origin)
	}
	if r.Outside == nil {
		b.WriteString("Outside checkpoint: none was given: a roll-back to an older copy, or a second history by the key's holder, cannot be seen. Keep checkpoints elsewhere and pass one with --since\n")
	} else {
		fmt.Fprintf(&b, "Outside checkpoint: %s (%s), %d records of %s: the log continues it\n",
			r.Outside.Time.Format(time.RFC3339), ago(r.Outside.Age), r.Outside.Size, r.Outside.Origin)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "Note: %s\n", n)
	}
	return b.String()
}

func ago(age string) string {
	if age == "" {
		return "age not told"
	}
	return age + " ago"
}
