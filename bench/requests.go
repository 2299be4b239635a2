package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// The contenders of the benchmarks of requests.
const (
	nginx      = "nginx"
	bare       = "ReverseProxy"
	bodyMasked = gated + ", two fields masked"
	bodyScan   = gated + ", detectors"
)

func requests() scenario {
	return scenario{"requests", "wrk with 32 connections reads a JSON document from nginx, in clear over loopback, keep-alive everywhere. nginx as proxy: two " +
		"workers, keep-alive to its upstream, buffering on. ReverseProxy: Go's own with a transport that keeps its connections. Gatehouse verifies " +
		"the token of every request, decides, and records it in full.", webRequests, true}
}

func webRequests(ctx context.Context, w *world) ([]result, error) {
	s, err := w.startWeb(ctx)
	if err != nil {
		return nil, err
	}
	var all []result
	for _, d := range []struct{ name, title string }{{"1k", "1 KB of JSON"}, {"100k", "100 KB of JSON"}} {
		contenders := []contender{
			{direct, w.wrk(s.direct, d.name)},
			{nginx, w.wrk(s.nginx, d.name)},
			{bare, w.wrk(s.bare, d.name)},
			{gated, w.wrk(s.gate.site(reader), d.name)},
		}
		goals := []goal{
			{work: d.title + ": throughput against ReverseProxy", atLeast: 0.85, aim: 1, of: throughput(gated, bare)},
			{work: d.title + ": throughput against nginx", atLeast: 0.55, aim: 0.7, of: throughput(gated, nginx)},
		}
		if d.name == "100k" {
			contenders = append(contenders, contender{bodyMasked, w.wrk(s.gate.site(masked), d.name)}, contender{bodyScan, w.wrk(s.gate.site(scanned), d.name)})
			goals = append(goals, goal{work: d.title + ", two fields masked: throughput against ReverseProxy", atLeast: 0.5, aim: 0.7, of: throughput(bodyMasked, bare)})
		}
		res, err := w.cell(ctx, d.title, "requests", append(contenders, contender{control, w.wrk(s.direct, d.name)}), goals...)
		if err != nil {
			return nil, err
		}
		res.peer = bare
		all = append(all, res)
	}
	return all, nil
}

// site is one way to the documents.
type site struct {
	pids  []int // of the proxy
	base  string
	token string
}

// wrk measures one way with as many requests as fit into a slice.
func (w *world) wrk(s site, document string) func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		args := []string{"-t1", "-c32", "-d" + strconv.Itoa(max(1, int(w.o.slice/time.Second))) + "s", s.base + "/" + document + ".json"}
		if s.token != "" {
			args = append(args, "-H", "Authorization: Bearer "+s.token)
		}
		var out bytes.Buffer
		took, used, err := spent(ctx, func() error {
			cmd := exec.CommandContext(ctx, "wrk", args...)
			cmd.Stdout, cmd.Stderr = &out, &out
			return cmd.Run()
		}, s.pids...)
		if err != nil {
			return sample{}, fmt.Errorf("wrk: %w: %s", err, out.String())
		}
		n, err := counted(out.String())
		return sample{float64(n) / took.Seconds(), micros(used, n)}, err
	}
}

// counted reads how many requests were answered well.
func counted(said string) (int, error) {
	if strings.Contains(said, "Non-2xx") || strings.Contains(said, "Socket errors") {
		return 0, errors.New(said)
	}
	for line := range strings.Lines(said) {
		if n, _, found := strings.Cut(strings.TrimSpace(line), " requests in "); found {
			return strconv.Atoi(n)
		}
	}
	return 0, errors.New("wrk does not say how many requests it sent: " + said)
}

func idleRequests() scenario {
	return scenario{"idle-requests", "Resident memory of the gateway, after minus before, over the number of clients that sent one request with TLS and keep their " +
		"connection, 3 s after the last one. 50 clients came and went before.", webSleepers, true}
}

func webSleepers(ctx context.Context, w *world) ([]result, error) {
	s, err := w.startWeb(ctx)
	if err != nil {
		return nil, err
	}
	n := 2000
	if w.o.short {
		n = 20
	}
	perClient, err := s.gate.keep(ctx, n)
	if err != nil {
		return nil, err
	}
	res := result{title: fmt.Sprintf("%d idle clients", n), rounds: []round{{gated: {perSecond: perClient}}},
		notes: []string{fmt.Sprintf("%s: %d clients, %.1f KiB each.", gated, n, perClient)}}
	res.goals = append(res.goals, reach(goal{work: "memory for each idle client, TLS", atLeast: 40, aim: 24, less: true, unit: " KiB",
		of: func(r round) float64 { return r[gated].perSecond }}, res.rounds))
	return []result{res}, nil
}
