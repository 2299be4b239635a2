//go:build !race

package gateway

func raceArgs() []string { return nil }

func raceEnv() []string { return nil }

func (*Gateway) mustNotRace() {}
