package aws

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/internal/fault"
)

func crcOf(b []byte) string {
	h := crc32.NewIEEE()
	h.Write(b)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func framesOf(word, body string, size int, trailer string) (*framed, error) {
	h := http.Header{"X-Amz-Decoded-Content-Length": {strconv.Itoa(size)}}
	if trailer != "" {
		h.Set("X-Amz-Trailer", trailer)
	}
	return openFrames(h, word, io.NopCloser(strings.NewReader(body)))
}

// TestFrames: what is in frames comes out, whoever made them, and however it is read.
func TestFrames(t *testing.T) {
	const signed, plain = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	crc := crcOf([]byte("hello world"))
	for name, c := range map[string]struct{ word, body, trailer string }{
		"signed":               {signed, "6;chunk-signature=ab\r\nhello \r\n5;chunk-signature=cd\r\nworld\r\n0;chunk-signature=ef\r\n\r\n", ""},
		"signed, no last line": {signed, "b;chunk-signature=ab\r\nhello world\r\n0;chunk-signature=ef\r\n", ""},
		"with a trailer":       {plain, "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:" + crc + "\r\n\r\n", "x-amz-checksum-crc32"},
		"with a signed one":    {signed + "-TRAILER", "b;chunk-signature=ab\r\nhello world\r\n0;chunk-signature=ef\r\nx-amz-checksum-crc32:" + crc + "\r\nx-amz-trailer-signature:ab\r\n\r\n", "x-amz-checksum-crc32"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := framesOf(c.word, c.body, 11, c.trailer)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(iotest.OneByteReader(f))
			if err != nil || string(got) != "hello world" {
				t.Fatalf("%q, %v", got, err)
			}
			if f.failed() != nil {
				t.Error(f.failed())
			}
		})
	}
}

// TestAttackByFrames: bodies whose frames lie.
func TestAttackByFrames(t *testing.T) {
	const word = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	end := "0\r\nx-amz-checksum-crc32:" + crcOf([]byte("hello")) + "\r\n\r\n"
	for name, body := range map[string]string{
		"a checksum of something else": "5\r\nhellO\r\n" + end,
		"no checksum":                  "5\r\nhello\r\n0\r\n\r\n",
		"a checksum twice":             "5\r\nhello\r\n" + strings.TrimSuffix(end, "\r\n") + "x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
		"another trailer":              "5\r\nhello\r\n0\r\nx-amz-acl:public-read\r\n\r\n",
		"shorter than declared":        "4\r\nhell\r\n" + end,
		"longer than declared":         "6\r\nhello!\r\n" + end,
		"a frame that is cut":          "5\r\nhel",
		"no last frame":                "5\r\nhello\r\n",
		"something behind":             "5\r\nhello\r\n" + end + "5\r\nhello\r\n",
		"a size that is none":          "-5\r\nhello\r\n" + end,
		"a size with a sign":           "+5\r\nhello\r\n" + end,
		"a size beyond all":            "ffffffffffffffff\r\nhello\r\n" + end,
		"a head that does not end":     strings.Repeat("5", 10_000),
		"another extension":            "5;x=y\r\nhello\r\n" + end,
		"lines that end alone":         "5\nhello\n0\n\n",
		"a frame that is too long":     "4\r\nhello\r\n" + end,
	} {
		t.Run(name, func(t *testing.T) {
			f, err := framesOf(word, body, 5, "x-amz-checksum-crc32")
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err == nil {
				t.Fatalf("it was read as %q", got)
			}
			if fault.KindOf(f.failed()) != fault.Malformed {
				t.Errorf("the client is told %v", f.failed())
			}
		})
	}
	for name, c := range map[string]struct{ word, trailer, size string }{
		"an unknown word":              {"STREAMING-SOMETHING", "", "5"},
		"a trailer that is not said":   {word, "", "5"},
		"a trailer that may not be":    {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-checksum-crc32", "5"},
		"a trailer that is a header":   {word, "x-amz-acl", "5"},
		"no length":                    {word, "x-amz-checksum-crc32", ""},
		"a negative length":            {word, "x-amz-checksum-crc32", "-1"},
		"a length with a leading zero": {word, "x-amz-checksum-crc32", "05"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"X-Amz-Decoded-Content-Length": {c.size}}
			if c.trailer != "" {
				h.Set("X-Amz-Trailer", c.trailer)
			}
			if _, err := openFrames(h, c.word, io.NopCloser(strings.NewReader(""))); fault.KindOf(err) != fault.Malformed {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestFramesAgain: frames that are made anew are as long as is said beforehand, and say the same.
func TestFramesAgain(t *testing.T) {
	for _, size := range []int{0, 1, 15, 16, frameOut - 1, frameOut, frameOut + 1, 3*frameOut + 17} {
		content := bytes.Repeat([]byte("x"), size)
		body := "0\r\nx-amz-checksum-crc32:" + crcOf(content) + "\r\n\r\n"
		if size > 0 {
			body = fmt.Sprintf("%x\r\n%s\r\n", size, content) + body
		}
		f, err := framesOf(unsignedTrailer, body, size, "x-amz-checksum-crc32")
		if err != nil {
			t.Fatal(err)
		}
		want := f.length()
		again, err := io.ReadAll(f.again())
		if err != nil || int64(len(again)) != want {
			t.Fatalf("%d: %d bytes, said were %d, %v", size, len(again), want, err)
		}
		g, err := framesOf(unsignedTrailer, string(again), size, "x-amz-checksum-crc32")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(g); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d: read again: %v", size, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:"+crcOf([]byte("hello"))+"\r\n\r\n", 5)
	f.Add("5;chunk-signature=a\r\nhello\r\n0;chunk-signature=b\r\n\r\n", 5)
	f.Fuzz(func(t *testing.T, body string, size int) {
		r, err := framesOf(unsignedTrailer, body, size, "x-amz-checksum-crc32")
		if err != nil {
			return
		}
		got, err := io.ReadAll(r)
		if err == nil && (len(got) != size || crcOf(got) != r.value) {
			t.Fatalf("%d bytes of %d were taken", len(got), size)
		}
		if err != nil && errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}
