// Package message is what protocols of messages do alike, whatever brings a message: values are hidden in its body, its headers and its
// properties, and its body is read as conditions see it. Bytes go in and bytes come out; no broker and no client is known here.
//
// A body is read by the type and the encoding that its publisher gave it, and nobody proves those true: what cannot be read as what it says it
// is, or in more than one way, is ErrUnreadable, and the protocol refuses it, or passes it where policy allows that outright (TestUnreadable).
// What lies at a path is hidden by a proof, what detectors find by a net, as in package body.
package message
