package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/internal/fault"
)

// Mode says what Barrier waits for.
type Mode string

// The modes. The empty Mode is ModeFast.
const (
	ModeFast   Mode = "fast"   // the file; fsync follows within Window
	ModeStrict Mode = "strict" // fsync
)

// The files of an epoch's directory.
const (
	latestFile  = "checkpoint"  // the newest checkpoint, as C2SP tlog-tiles places it
	historyFile = "checkpoints" // every checkpoint, each followed by an empty line
)

// maxNote bounds one signed checkpoint, in bytes.
const maxNote = 16 << 10

// Checkpoint is a signed statement of what the log of one epoch held.
type Checkpoint struct {
	Origin string        // gatehouse-audit/<node>/<epoch>-<id>
	Size   uint64        // records under it
	Root   [32]byte      // RFC 6962 tree hash of their leaves
	First  uint64        // the sequence of the epoch's first record: the last one here is First+Size-1
	Mode   Mode          //
	Window time.Duration // how much of the log a loss of power may take, in ModeFast
	Time   time.Time     //
	Next   string        // the public key that signs from here on; empty but at a rotation
	Note   []byte        // the signed note itself (C2SP tlog-checkpoint)
}

// text returns what is signed: C2SP's three lines and ours.
func (c *Checkpoint) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
	fmt.Fprintf(&b, "format %d\nfirst %d\n", FormatVersion, c.First)
	if c.Mode == ModeStrict {
		b.WriteString("mode strict\n")
	} else {
		fmt.Fprintf(&b, "mode fast %s\n", c.Window)
	}
	fmt.Fprintf(&b, "time %s\n", c.Time.UTC().Format(time.RFC3339Nano))
	if c.Next != "" {
		fmt.Fprintf(&b, "next-key %s\n", c.Next)
	}
	return b.String()
}

// sign makes the note.
func (c *Checkpoint) sign(signers ...note.Signer) error {
	msg, err := note.Sign(&note.Note{Text: c.text()}, signers...)
	c.Note = msg
	return err
}

// signedBy reports whether the note holds this signer's own signature. Ed25519 signs the same text to the same bytes
// (RFC 8032), so that no public key is needed to look.
func (c *Checkpoint) signedBy(s note.Signer) bool {
	body, _, ok := bytes.Cut(c.Note, []byte("\n\n"))
	if !ok {
		return false
	}
	again, err := note.Sign(&note.Note{Text: string(body) + "\n"}, s)
	if err != nil {
		return false
	}
	_, line, _ := bytes.Cut(again, []byte("\n\n"))
	return bytes.Contains(append([]byte("\n"), c.Note[len(body)+2:]...), append([]byte("\n"), line...))
}

// ParseCheckpoint reads a signed checkpoint without checking its signature: package audit/verify does that.
func ParseCheckpoint(msg []byte) (Checkpoint, error) {
	const op = "audit.ParseCheckpoint"
	bad := func(what string) (Checkpoint, error) {
		return Checkpoint{}, fault.New(fault.Malformed, op, "not a checkpoint of an audit log: %s", what)
	}
	if len(msg) > maxNote {
		return bad("too long")
	}
	body, _, ok := strings.Cut(string(msg), "\n\n")
	if !ok {
		return bad("no signature")
	}
	lines := strings.Split(body, "\n")
	if len(lines) < 7 {
		return bad("lines are missing")
	}
	c := Checkpoint{Origin: lines[0], Note: bytes.Clone(msg), Mode: ModeStrict}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return bad("its root is not a hash")
	}
	copy(c.Root[:], root)
	if lines[3] != "format 1" {
		return Checkpoint{}, fault.New(fault.Conflict, op, "the audit log has %q and this gateway knows format 1: use the version that wrote it", lines[3])
	}
	mode, window, fast := strings.Cut(lines[5], "mode fast ")
	if fast && mode == "" {
		c.Mode = ModeFast
		c.Window, err = time.ParseDuration(window)
	}
	c.Size, err = parseUint(lines[1], "", err)
	c.First, err = parseUint(lines[4], "first ", err)
	if err == nil {
		c.Time, err = time.Parse("time "+time.RFC3339Nano, lines[6])
	}
	if err != nil {
		return bad(err.Error())
	}
	if len(lines) > 7 {
		c.Next, _ = strings.CutPrefix(lines[7], "next-key ")
	}
	if c.text() != body+"\n" {
		return bad("it is not in its canonical form")
	}
	return c, nil
}

func parseUint(s, prefix string, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, fmt.Errorf("%q where %q is expected", s, prefix)
	}
	return strconv.ParseUint(digits, 10, 63)
}

// lastCheckpoint returns the newest whole checkpoint of a history, and where in the file it ends: what lies behind is
// an entry that was cut short. A history that does not exist is empty.
func lastCheckpoint(name string) (*Checkpoint, int64, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	from := max(0, info.Size()-4*maxNote)
	tail, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return nil, 0, err
	}
	// An entry is text, empty line, signatures, empty line.
	end := bytes.LastIndex(tail, []byte("\n\n"))
	if end < 0 {
		return nil, 0, nil
	}
	if !bytes.HasPrefix(lastBlock(tail[:end+1]), []byte("\u2014 ")) { // the signatures were cut short
		end = bytes.LastIndex(tail[:end], []byte("\n\n"))
		if end < 0 {
			return nil, 0, nil
		}
	}
	signatures := lastBlock(tail[:end+1])
	text := lastBlock(tail[:end+1-len(signatures)-1])
	start := end + 1 - len(signatures) - 1 - len(text)
	c, err := ParseCheckpoint(tail[start : end+1])
	return &c, from + int64(end) + 2, err
}

// lastBlock returns the lines behind the last empty line of b, which ends in a newline.
func lastBlock(b []byte) []byte {
	if i := bytes.LastIndex(b, []byte("\n\n")); i >= 0 {
		return b[i+2:]
	}
	return b
}
