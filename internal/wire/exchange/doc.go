// Package exchange is what protocols of requests and answers do alike, whatever their requests mean: which connection a request
// is for and with which token, how long a body may take and how much of it is held, how a client comes back for an approval,
// how an answer is passed on, and how a refusal is said in the words of RFC 9457.
//
// Sources: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 7240 (Prefer), RFC 9457 (problem details).
package exchange
