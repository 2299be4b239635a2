// Package body hides values inside documents as they stream: JSON, lines of JSON, server-sent events, text, CSV, forms
// and XML, by path and by detector. It is pure, holds little whatever the document's size, and gives the same bytes however
// its input is split (TestSplitAnywhere). KindOf tells a body's kind; what has none, such as multipart bodies and pictures,
// cannot be looked into, and is refused where something must be hidden.
//
// A value at a path is hidden by a proof: the document is read in one way only, names are compared as the most lenient of
// readers would, and what readers take in several ways (text that is not UTF-8, lone surrogates, two documents in a row,
// nesting that they give up on) is ErrUnreadable; then nothing more is written (TestJSONRefuses, FuzzJSON). What the
// detectors find is a net, as in package mask. What needs no change passes byte for byte.
//
// What is held: of a line or a string in which a detector looks for something, 64 KiB; of a JSON value whose mask needs the
// whole of it, Options.Held, beyond which it is redacted whatever its mask says; of events, rows, form fields and tags,
// Options.Held, beyond which the document is unreadable.
package body
