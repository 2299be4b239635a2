// Package keys keeps the gateway's own key material in files that only the gateway can read: symmetric keys (vault,
// mask), the audit log's signing key, the administrator's token, and the certificate authority and server certificate
// of the listeners. It refuses a file that others could have read, and says which command repairs it.
//
// A file appears whole or not at all (written beside its place, synced, then linked to it), and two processes that
// start at once end up with the same key. Rotation keeps what it replaces as NAME.1, NAME.2, …, counted upwards, so that
// what an old key protects stays readable. TestHostileFiles and TestRotationSurvivesEveryStop prove these claims.
package keys
