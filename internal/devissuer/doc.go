// Package devissuer is an OpenID Connect issuer for one machine: `gatehouse dev` and tests use it, and nothing else may
// import it. It mints whatever it is asked for, so it serves loopback only, and its tokens endpoint wants a secret.
//
// One Issuer has one URL and one key. Who needs two (one for functions, one for people) makes two and mounts their
// handlers under two paths with http.StripPrefix. TestTokenEndpoint proves that nobody without the secret, and no
// browser page, is given a token; TestKeySurvivesRestart that tokens outlive the process.
package devissuer
