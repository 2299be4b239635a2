package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fault"
)

// longestNote bounds one checkpoint, in bytes.
const longestNote = 16 << 10

// key is a public key in the text form of C2SP signed-note: name+hash+base64(0x01 || Ed25519 key).
type key struct {
	text string
	name string
	id   uint32
	pub  ed25519.PublicKey
}

// parseKey reads a verifier key.
func parseKey(s string) (key, error) {
	s = strings.TrimSpace(s)
	bad := fault.New(fault.Malformed, "verify.parseKey", "%q is not a public key of the form name+hash+base64", s)
	name, rest, _ := strings.Cut(s, "+")
	hash, data, ok := strings.Cut(rest, "+")
	raw, err := decode64(data)
	id, herr := strconv.ParseUint(hash, 16, 32)
	if !ok || err != nil || herr != nil || name == "" || len(raw) != 1+ed25519.PublicKeySize || raw[0] != 1 {
		return key{}, bad
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	if binary.BigEndian.Uint32(sum[:]) != uint32(id) {
		return key{}, bad
	}
	return key{text: s, name: name, id: uint32(id), pub: raw[1:]}, nil
}

// decode64 reads base64 of which there is one spelling only.
func decode64(s string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err == nil && base64.StdEncoding.EncodeToString(raw) != s {
		err = errors.New("not the canonical base64")
	}
	return raw, err
}

// signature is one line of a note.
type signature struct {
	name string
	id   uint32
	sig  []byte
}

// checkpoint is a signed note of the log, parsed and not yet believed.
type checkpoint struct {
	raw    []byte
	text   string
	sigs   []signature
	file   string
	offset int64

	origin string
	size   uint64
	root   [32]byte
	first  uint64
	mode   string
	time   time.Time
	next   string
}

// parseCheckpoint reads a note. It takes one spelling only, so that two notes that say the same are the same.
func parseCheckpoint(raw []byte) (*checkpoint, error) {
	body, lines, ok := strings.Cut(string(raw), "\n\n")
	if !ok || len(raw) > longestNote || !strings.HasSuffix(lines, "\n") {
		return nil, errors.New("it is not a signed note")
	}
	c := &checkpoint{raw: bytes.Clone(raw), text: body + "\n"}
	for line := range strings.SplitSeq(strings.TrimSuffix(lines, "\n"), "\n") {
		rest, dash := strings.CutPrefix(line, "\u2014 ")
		name, data, space := strings.Cut(rest, " ")
		sig, err := decode64(data)
		if !dash || !space || err != nil || len(sig) < 5 {
			return nil, errors.New("a signature line is malformed")
		}
		c.sigs = append(c.sigs, signature{name, binary.BigEndian.Uint32(sig), sig[4:]})
	}
	return c, c.parseText(strings.Split(body, "\n"))
}

func (c *checkpoint) parseText(lines []string) error {
	if len(lines) < 7 || len(lines) > 8 {
		return fmt.Errorf("it has %d lines", len(lines))
	}
	if lines[3] != "format 1" {
		return fmt.Errorf("it says %q and this verifier knows format 1", lines[3])
	}
	root, err := decode64(lines[2])
	if err != nil || len(root) != len(c.root) {
		return errors.New("its root is not a hash")
	}
	copy(c.root[:], root)
	c.origin = lines[0]
	if c.size, err = number(lines[1], ""); err != nil {
		return err
	}
	if c.first, err = number(lines[4], "first "); err != nil {
		return err
	}
	mode, ok := strings.CutPrefix(lines[5], "mode ")
	stamp, ok2 := strings.CutPrefix(lines[6], "time ")
	c.mode = mode
	c.time, err = time.Parse(time.RFC3339Nano, stamp)
	if !ok || !ok2 || err != nil {
		return errors.New("its mode or time is malformed")
	}
	if len(lines) == 8 {
		if c.next, ok = strings.CutPrefix(lines[7], "next-key "); !ok {
			return errors.New("its last line is unknown")
		}
	}
	return nil
}

func number(s, prefix string) (uint64, error) {
	digits, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, fmt.Errorf("%q is not a number behind %q", s, prefix)
	}
	return n, nil
}

// signer returns which of the keys has signed: it is an error where a signature that claims one of them is wrong.
func (c *checkpoint) signers(keys []key) ([]key, error) {
	var out []key
	for _, s := range c.sigs {
		for _, k := range keys {
			if s.name != k.name || s.id != k.id {
				continue
			}
			if !ed25519.Verify(k.pub, []byte(c.text), s.sig) {
				return nil, fmt.Errorf("its signature by %q is wrong", k.name)
			}
			out = append(out, k)
		}
	}
	return out, nil
}

// history reads the checkpoints of an epoch one by one.
type history struct {
	name string
	r    *lineReader
	at   int64
}

// errHistoryCut means that the history ends inside an entry.
var errHistoryCut = errors.New("the history ends inside a checkpoint")

// next returns the next checkpoint; io.EOF at the end; errHistoryCut where the last entry is not whole.
func (h *history) next() (*checkpoint, error) {
	start := h.at
	var raw []byte
	for empty := 0; empty < 2; {
		line, err := h.r.line()
		if errors.Is(err, io.EOF) {
			if len(raw)+len(line) == 0 {
				return nil, io.EOF
			}
			return nil, errHistoryCut
		}
		if err != nil {
			return nil, err
		}
		raw = append(raw, line...)
		if len(line) == 1 {
			empty++
		}
		if len(raw) > longestNote {
			return nil, &Fault{File: h.name, Offset: start, What: "a checkpoint is too long"}
		}
	}
	h.at += int64(len(raw))
	c, err := parseCheckpoint(raw[:len(raw)-1])
	if err != nil {
		return nil, &Fault{File: h.name, Offset: start, What: "a checkpoint cannot be read: " + err.Error()}
	}
	c.file, c.offset = h.name, start
	return c, nil
}

// lineReader reads lines of bounded length.
type lineReader struct{ r io.ByteReader }

// line returns a line with its newline; io.EOF, with what there was, where there is no whole one.
func (l *lineReader) line() ([]byte, error) {
	var out []byte
	for len(out) <= longestNote {
		b, err := l.r.ReadByte()
		if err != nil {
			return out, err
		}
		out = append(out, b)
		if b == '\n' {
			return out, nil
		}
	}
	return out, nil
}
