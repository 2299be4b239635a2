// Package coding takes content codings off a body as it streams: gzip, deflate (with zlib's frame or without), br and zstd, at most
// two of them. A message that is whole gets its codings again (Encode); a body that streams is sent without. What is masked must be read, so a coding that is not known is an error, and so
// is what does not end as it should: a body that is cut off, or bytes after its end (TestDecodeRefuses).
//
// Nothing is held beyond a coding's window, of which the largest is 16 MiB. A small body that becomes a large one is
// streamed like any other; Limits end it (TestBombs).
package coding
