//go:build !race

package gateway

func raceArgs() []string { return nil }
