// Package body hides values inside documents as they stream: JSON, lines of JSON, server-sent events, text, CSV and forms,
// by path and by detector. It is pure, holds little whatever the document's size, and gives the same bytes however
// its input is split (TestSplitAnywhere).
//
// A value at a path is hidden by a proof: the document is read in one way only, names are compared as the most lenient of
// readers would, and what readers take in several ways (text that is not UTF-8, lone surrogates, two documents in a row,
// nesting that they give up on) is ErrUnreadable; then nothing more is written (TestJSONRefuses, FuzzJSON). What the
// detectors find is a net, as in package mask. What needs no change passes byte for byte.
//
// What is held: an incomplete line or string, up to 64 KiB of it where a detector looks for something inside, and up to
// Options.Held where a mask needs the whole of it. What is larger than that is redacted, whatever its mask says.
package body
