package coding_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"gatehouse/internal/wire/coding"
)

const fox = "the quick brown fox, the quick brown fox, the quick brown fox\n"

// others is how other programs code the fox: Node's zlib, and the command zstd.
var others = map[string]string{
	"br":       "1b3d00f81da9539f3c5c8398d1e129b4b75260e9411499c41e49c2361d9505a26be11301",
	"gzip":     "1f8b08000000000000032bc94855282ccd4cce56482aca2fcf5348cbafd051282152900b00cccfa88e3e000000",
	"deflate":  "789c2bc94855282ccd4cce56482aca2fcf5348cbafd051282152900b00c509163c",
	" DEFLATE": "2bc94855282ccd4cce56482aca2fcf5348cbafd051282152900b00", // without a frame
	"zstd":     "28b52ffd0458e50000b074686520717569636b2062726f776e20666f782c200a01006339998a598b08",
}

func raw(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(c *coding.Coder, name string, r io.Reader, l coding.Limits) ([]byte, error) {
	d, err := c.Decode(name, r, l)
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(d)
	return out, errors.Join(err, d.Close())
}

func encode(t testing.TB, name string, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	e, err := newEncoder(name, &b)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := e.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodesWhatOthersCode(t *testing.T) {
	var c coding.Coder
	for range 2 { // the second time with what was kept of the first
		for name, in := range others {
			for kind, r := range map[string]io.Reader{"at once": bytes.NewReader(raw(t, in)), "byte by byte": iotest.OneByteReader(bytes.NewReader(raw(t, in))), "with its end": iotest.DataErrReader(bytes.NewReader(raw(t, in)))} {
				if out, err := decode(&c, name, r, coding.Limits{}); err != nil || string(out) != fox {
					t.Errorf("%s %s: %q, %v", name, kind, out, err)
				}
			}
		}
	}
	two := append(raw(t, others["gzip"]), raw(t, others["gzip"])...)
	if out, err := decode(&c, "x-gzip", bytes.NewReader(two), coding.Limits{}); err != nil || string(out) != fox+fox {
		t.Errorf("two members: %q, %v", out, err)
	}
	frames := append(append(raw(t, others["zstd"]), raw(t, "502a4d18030000006162"+"63")...), raw(t, others["zstd"])...) // one of them to be skipped
	if out, err := decode(&c, "zstd", bytes.NewReader(frames), coding.Limits{}); err != nil || string(out) != fox+fox {
		t.Errorf("two frames: %q, %v", out, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	var c coding.Coder
	for name, in := range others {
		b := raw(t, in)
		for n := range b {
			if out, err := decode(&c, name, bytes.NewReader(b[:n]), coding.Limits{}); !errors.Is(err, coding.ErrBroken) {
				t.Errorf("%s cut off after %d of %d bytes: %q, %v", name, n, len(b), out, err)
			}
		}
		for _, more := range []string{"\x00", "x", fox} {
			for _, r := range []io.Reader{strings.NewReader(string(b) + more), io.MultiReader(bytes.NewReader(b), strings.NewReader(more))} {
				if out, err := decode(&c, name, r, coding.Limits{}); !errors.Is(err, coding.ErrBroken) {
					t.Errorf("%s with %.5q after it: %q, %v", name, more, out, err)
				}
			}
		}
		if out, err := decode(&c, name, strings.NewReader(fox), coding.Limits{}); !errors.Is(err, coding.ErrBroken) {
			t.Errorf("%s: the text itself: %q, %v", name, out, err)
		}
		gone := errors.New("gone")
		if _, err := decode(&c, name, io.MultiReader(bytes.NewReader(b[:8]), iotest.ErrReader(gone)), coding.Limits{}); !errors.Is(err, gone) {
			t.Errorf("%s: what ended the source is lost: %v", name, err)
		}
	}
	for name, in := range map[string]string{
		"br":   "115e7d1a067e81091c0271bb715b24e0945f0072ba03", // a window beyond what RFC 7932 has
		"zstd": "28b52ffd0088010000",                           // a window of 128 MiB
	} {
		if out, err := decode(&c, name, bytes.NewReader(raw(t, in)), coding.Limits{}); !errors.Is(err, coding.ErrBroken) {
			t.Errorf("%s with a large window: %d bytes, %v", name, len(out), err)
		}
	}
	for _, name := range []string{"compress", "gzip;q=1", "gzip br", "*", "aws-chunked", "gzip, gzip, gzip", "dcb", "\x00"} {
		if _, err := c.Decode(name, strings.NewReader(""), coding.Limits{}); !errors.Is(err, coding.ErrUnknown) {
			t.Errorf("%q was decoded: %v", name, err)
		}
	}
}

// TestRoundTrip: what is encoded is decoded, however it is written and read, one coding on another too.
func TestRoundTrip(t *testing.T) {
	var c coding.Coder
	rapid.Check(t, func(t *rapid.T) {
		one := append([]string{"", "identity"}, codings()...)
		name := rapid.SampledFrom(one).Draw(t, "first") + " , " + rapid.SampledFrom(one).Draw(t, "second")
		seed := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		var in []byte
		var b bytes.Buffer
		e, err := newEncoder(name, &b)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 5).Draw(t, "writes") {
			part := make([]byte, seed.Intn(40<<10))
			for i := range part {
				part[i] = byte(seed.Intn(1 + seed.Intn(256)))
			}
			in = append(in, part...)
			if _, err := e.Write(part); err != nil {
				t.Fatal(err)
			}
			if seed.Intn(2) == 0 {
				if err := e.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := decode(&c, name, iotest.HalfReader(&b), coding.Limits{})
		if err != nil || !bytes.Equal(in, out) {
			t.Fatalf("%s: %d bytes became %d, %v", name, len(in), len(out), err)
		}
	})
}

// TestFlush: what was flushed can be read before anything follows.
func TestFlush(t *testing.T) {
	var c coding.Coder
	for _, name := range append(codings(), "gzip, br", "zstd, deflate") {
		pr, pw := io.Pipe()
		done := make(chan error, 1)
		go func() {
			e, err := newEncoder(name, pw)
			for range 3 {
				if err == nil {
					_, err = e.Write([]byte(fox))
				}
				if err == nil {
					err = e.Flush()
				}
				done <- err
			}
			if err == nil {
				err = e.Close()
			}
			done <- errors.Join(err, pw.Close())
		}()
		d, err := c.Decode(name, pr, coding.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, len(fox))
		for range 3 {
			if _, err := io.ReadFull(d, buf); err != nil || string(buf) != fox {
				t.Fatalf("%s: %q, %v", name, buf, err)
			}
			if err := <-done; err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if rest, err := io.ReadAll(d); err != nil || len(rest) > 0 {
			t.Fatalf("%s: %q, %v", name, rest, err)
		}
		if err := errors.Join(<-done, d.Close()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestBombs: what grows out of measure ends where a limit says, and a body within it passes.
func TestBombs(t *testing.T) {
	var c coding.Coder
	zeros := make([]byte, 16<<20)
	for _, name := range append(codings(), "gzip, gzip", "br, zstd") {
		bomb := encode(t, name, zeros)
		if out, err := decode(&c, name, bytes.NewReader(bomb), coding.Limits{Size: 2 << 20}); !errors.Is(err, coding.ErrBomb) || len(out) > 2<<20 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
		if out, err := decode(&c, name, bytes.NewReader(bomb), coding.Limits{Ratio: 100}); !errors.Is(err, coding.ErrBomb) || len(out) > 4<<20 {
			t.Errorf("%s: %d bytes of %d, %v", name, len(out), len(bomb), err)
		}
		if out, err := decode(&c, name, bytes.NewReader(bomb), coding.Limits{Size: 16 << 20}); err != nil || len(out) != 16<<20 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
	if out, err := decode(&c, "", bytes.NewReader(zeros), coding.Limits{Ratio: 1}); err != nil || len(out) != len(zeros) {
		t.Errorf("without a coding: %d bytes, %v", len(out), err)
	}
}

// FuzzDecode: no input is too much, and what decodes, decodes again after it was encoded.
func FuzzDecode(f *testing.F) {
	for _, in := range others {
		f.Add(raw(f, in), uint8(0))
	}
	var c coding.Coder
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		names := append(codings(), "gzip, br")
		name := names[int(which)%len(names)]
		out, err := decode(&c, name, bytes.NewReader(in), coding.Limits{Size: 1 << 20})
		if err != nil {
			if !errors.Is(err, coding.ErrBroken) && !errors.Is(err, coding.ErrBomb) {
				t.Fatalf("%s: %v", name, err)
			}
			return
		}
		if again, err := decode(&c, name, bytes.NewReader(encode(t, name, out)), coding.Limits{}); err != nil || !bytes.Equal(out, again) {
			t.Fatalf("%s: %q became %q, %v", name, out, again, err)
		}
	})
}

// TestEncode: what is coded again is what it was, in the same codings, and behind what was there.
func TestEncode(t *testing.T) {
	var c coding.Coder
	for range 2 { // the second time with what was kept of the first
		for _, name := range append(codings(), "", "identity", "x-gzip", "gzip, br", "deflate, zstd") {
			for _, plain := range []string{"", "x", strings.Repeat(fox, 4000)} {
				out, err := c.Encode([]byte("before"), name, []byte(plain), nil)
				if err != nil || !bytes.HasPrefix(out, []byte("before")) {
					t.Fatalf("%s: %.20q, %v", name, out, err)
				}
				if got, err := decode(&c, name, bytes.NewReader(out[6:]), coding.Limits{}); err != nil || string(got) != plain {
					t.Errorf("%s: %d bytes became %d, %v", name, len(plain), len(got), err)
				}
			}
		}
	}
	for _, name := range []string{"deflate", " DEFLATE"} { // each frame stays what it was
		like := raw(t, others[name])
		out, err := c.Encode(nil, "deflate", []byte(fox), like)
		if err != nil || out[0] == 0x78 != (like[0] == 0x78) {
			t.Errorf("%q: % x, %v", name, out[:2], err)
		}
	}
	if _, err := c.Encode(nil, "compress", nil, nil); !errors.Is(err, coding.ErrUnknown) {
		t.Errorf("an unknown coding: %v", err)
	}
}
