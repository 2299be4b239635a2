// Package mask hides values: a whole value by one of the strategies (Value), or what detectors find inside a value
// (Scanner). It is pure: no I/O, no clock; the key of its tokens is passed in.
//
// Masks of whole values are a proof: nothing of the value is left but what the strategy keeps, and a partial mask never
// keeps more than half (TestPartialKeepsAtMostHalf). Detectors are a net: they know credit cards, e-mail addresses, US
// social security numbers, phone numbers, IBANs and IP addresses as people and programs usually write them, each checked
// (Luhn, mod 97, number plans, ranges) so that order numbers, UUIDs, digests and timestamps stay as they are
// (TestLeavesAlone). What a Scanner has masked holds nothing that the same Scanner would find (FuzzScanner).
package mask
