// Package grpc reads what gRPC puts into HTTP/2: framed messages, statuses, and messages by their descriptors, so that fields of
// them can be hidden and read by conditions. It is pure but for the readers that it is given.
//
// Sources: the gRPC protocol over HTTP/2, the Protocol Buffers encoding, the reflection protocol (v1, v1alpha).
//
// A message of which something is hidden is decoded whole by the descriptor of its type, and encoded anew without what the descriptor
// does not know: a value cannot leave in a field that nobody has heard of (TestHide, TestUnknownFieldsAreDropped).
package grpc
