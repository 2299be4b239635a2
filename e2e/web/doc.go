// Package web attacks the gateway's HTTP side with the real binary, real HTTP servers as backends, stock clients and raw sockets.
package web
