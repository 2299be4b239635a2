//go:build !race

package audit

const allowedAllocs = 0
