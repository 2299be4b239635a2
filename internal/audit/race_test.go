//go:build race

package audit

// Under the race detector a sync.Pool forgets at random, so that Append must make a buffer anew now and then.
const allowedAllocs = 2
