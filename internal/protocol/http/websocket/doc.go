// Package websocket cuts the bytes of a WebSocket into messages and makes frames of messages (RFC 6455). It is pure but for the
// reader that it is given.
//
// What comes out is whole messages of one frame each, made anew: nobody behind the gateway ever sees a frame as the other side
// cut it. What the RFC forbids is a *Violation, which says with which code the connection is to be closed: reserved bits (no
// extension is ever agreed on), unknown opcodes, a mask that is missing or too much, lengths that are not written in the
// shortest form, control frames that are long or cut, text that is not UTF-8, close codes that nobody may send
// (TestViolations). Proof that nothing else depends on how frames are cut: TestFragments, FuzzReader.
package websocket
