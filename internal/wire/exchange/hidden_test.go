package exchange

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask"
)

type readCloser struct{ io.Reader }

func (readCloser) Close() error { return nil }

func drain(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var hideEmail = access.DocumentMasks{
	Paths:   []access.PathMask{{Path: "**.email", Mask: access.Mask{Strategy: access.MaskRedact}}},
	Headers: []access.HeaderMask{{Name: "x-email", Mask: access.Mask{Strategy: access.MaskRedact}}},
	Detect:  []access.Detection{{Entity: access.EntityCreditCard, Mask: access.Mask{Strategy: access.MaskRedact}}},
}

func hidden(t interface{ Fatal(...any) }, d access.DocumentMasks) *Hidden {
	h, err := NewCompiled(mask.NewKey([32]byte{1})).Of(d, "api")
	if err != nil || h == nil {
		t.Fatal(h, err)
	}
	return h
}

const (
	clear1 = `{"a":[{"email":"x@y.example","n":"4111111111111111"}],"b":2}`
	veiled = `{"a":[{"email":"[redacted]","n":"[redacted]"}],"b":2}`
)

// TestRebuildInPieces: however a body comes, and whichever way it goes, what is written is the same.
func TestRebuildInPieces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := hidden(r, hideEmail)
		var src io.Reader = strings.NewReader(clear1)
		if rapid.Bool().Draw(r, "one byte at a time") {
			src = iotest.OneByteReader(src)
		}
		if rapid.Bool().Draw(r, "data with the end") {
			src = iotest.DataErrReader(src)
		}
		m, _, err := h.masker("application/json")
		if err != nil {
			r.Fatal(err)
		}
		if rapid.Bool().Draw(r, "read") {
			var out io.Reader = Masking(readCloser{src}, m)
			if rapid.Bool().Draw(r, "a byte at a time") {
				out = iotest.OneByteReader(out)
			}
			got, err := io.ReadAll(out)
			if err != nil || string(got) != veiled {
				r.Fatalf("%s %v", got, err)
			}
			return
		}
		var b bytes.Buffer
		n, err := Rebuild(&b, src, m, new(Buffers), rapid.SampledFrom([]int64{-1, 1}).Draw(r, "length"))
		if err != nil || b.String() != veiled || n != int64(len(veiled)) || m.Hits() != 2 {
			r.Fatalf("%s %d %d %v", b.String(), n, m.Hits(), err)
		}
	})
}

// TestRebuildStops: a body that breaks off, or is not what it says, is never made to look whole.
func TestRebuildStops(t *testing.T) {
	broken := errors.New("broken")
	for name, src := range map[string]io.Reader{
		"the source fails": io.MultiReader(strings.NewReader(clear1[:20]), iotest.ErrReader(broken)),
		"it is cut":        strings.NewReader(clear1[:len(clear1)-1]),
		"no JSON":          strings.NewReader("hello"),
	} {
		m, _, err := hidden(t, hideEmail).masker("application/json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Rebuild(io.Discard, src, m, new(Buffers), -1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestRebuildParts: of a body whose length is known few large parts are written, and of one that comes in pieces each as it comes.
func TestRebuildParts(t *testing.T) {
	long := "[" + strings.Repeat("12,", 33<<10) + "1]"
	for length, want := range map[int64]int{int64(len(long)): 2, -1: len(long)/1000 + 1} {
		m, _, err := hidden(t, hideEmail).masker("application/json")
		if err != nil {
			t.Fatal(err)
		}
		var w counting
		if n, err := Rebuild(&w, pieces{strings.NewReader(long)}, m, new(Buffers), length); err != nil || n != int64(len(long)) || w.writes != want {
			t.Errorf("a body of length %d: %d bytes in %d parts (%v), not %d", length, n, w.writes, err, want)
		}
	}
}

type counting struct{ writes int }

func (c *counting) Write(b []byte) (int, error) {
	c.writes++
	return len(b), nil
}

// pieces gives 1000 bytes at a time.
type pieces struct{ io.Reader }

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), 1000)]) }

// TestHiddenHeaders: those that are named, those that hold what a detector finds, and no others.
func TestHiddenHeaders(t *testing.T) {
	h := http.Header{"X-Email": {"a@b.example", "c@d.example"}, "X-Note": {"card 4111111111111111"}, "Etag": {"4111111111111111"}, "Server": {"4111111111111111"}}
	if n := hidden(t, hideEmail).Headers(h); n != 4 {
		t.Errorf("%d hidden", n)
	}
	if h["X-Email"][1] != "[redacted]" || h.Get("X-Note") != "card [redacted]" || h.Get("Etag") != "[redacted]" || h.Get("Server") != "4111111111111111" {
		t.Errorf("%v", h)
	}
}

// TestHiddenRequest: values go from what is sent, with its encoding and what tells of the body as it was.
func TestHiddenRequest(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(clear1))
	_ = z.Close()
	for name, out := range map[string]*gate.Outgoing{
		"held":            {Body: []byte(clear1)},
		"streamed":        {Stream: readCloser{strings.NewReader(clear1)}, Length: int64(len(clear1))},
		"held, packed":    {Body: packed.Bytes(), Header: http.Header{"Content-Encoding": {"gzip"}}},
		"streamed,packed": {Stream: readCloser{bytes.NewReader(packed.Bytes())}, Header: http.Header{"Content-Encoding": {"gzip"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if out.Header == nil {
				out.Header = http.Header{}
			}
			out.Header.Set("Content-Type", "application/json")
			out.Header.Set("Content-Md5", "x")
			if err := hidden(t, hideEmail).Request(out); err != nil {
				t.Fatal(err)
			}
			got := string(out.Body)
			if out.Stream != nil {
				got = drain(t, out.Stream)
				if out.Length != -1 {
					t.Errorf("length %d", out.Length)
				}
			}
			if got != veiled || out.Header.Get("Content-Md5") != "" || out.Header.Get("Content-Encoding") != "" {
				t.Errorf("%s %v", got, out.Header)
			}
		})
	}
	for name, out := range map[string]*gate.Outgoing{
		"an unknown type":     {Body: []byte(clear1), Header: http.Header{"Content-Type": {"application/x-thing"}}},
		"an unknown encoding": {Body: []byte(clear1), Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"compress"}}},
		"no JSON":             {Body: []byte("email=x"), Header: http.Header{"Content-Type": {"application/json"}}},
	} {
		if err := hidden(t, hideEmail).Request(out); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

// TestCompiledAgain: the same masks are compiled once, and others are never taken for them.
func TestCompiledAgain(t *testing.T) {
	c := NewCompiled(mask.NewKey([32]byte{1}))
	a, _ := c.Of(hideEmail, "api")
	b, _ := c.Of(hideEmail, "api")
	other, _ := c.Of(hideEmail, "other")
	less, _ := c.Of(access.DocumentMasks{Paths: hideEmail.Paths}, "api")
	none, err := c.Of(access.DocumentMasks{}, "api")
	if a != b || a == other || a == less || none != nil || err != nil {
		t.Error("the store mixes masks up")
	}
}
