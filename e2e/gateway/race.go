//go:build race

package gateway

func raceArgs() []string { return []string{"-race"} }
