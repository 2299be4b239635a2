package nats

import (
	"bytes"
	"encoding/json"
	"strings"
)

// maxCatalogue bounds how many streams and consumers a session remembers, and how many subjects of each.
const (
	maxCatalogue = 1024
	maxSubjects  = 64
)

// catalogue is what answers of the server have told a session of its streams and consumers: which subjects they have. Calls are
// judged by it beforehand; each message that arrives is judged by its own subject all the same, so that an answer that was not the
// server's opens nothing.
type catalogue struct {
	streams   map[string][]string
	consumers map[[2]string][]string
}

func (k *catalogue) stream(name string) ([]string, bool) {
	sets, ok := k.streams[name]
	return sets, ok
}

// consumer returns the filters of a consumer, none where it has none.
func (k *catalogue) consumer(stream, name string) ([]string, bool) {
	sets, ok := k.consumers[[2]string{stream, name}]
	return sets, ok
}

// learn reads an answer that arrived in an inbox. What is no answer about a stream or a consumer is left alone.
func (k *catalogue) learn(payload []byte) {
	if len(payload) > maxCall || !bytes.Contains(payload, []byte(answerPrefix)) {
		return
	}
	var a struct {
		Type   string `json:"type"`
		Stream string `json:"stream_name"`
		Name   string `json:"name"`
		Config struct {
			Name             string          `json:"name"`
			Subjects         []string        `json:"subjects"`
			FilterSubject    string          `json:"filter_subject"`
			FilterSubjects   []string        `json:"filter_subjects"`
			Mirror           json.RawMessage `json:"mirror"`
			Sources          json.RawMessage `json:"sources"`
			SubjectTransform json.RawMessage `json:"subject_transform"`
		} `json:"config"`
	}
	if json.Unmarshal(payload, &a) != nil {
		return
	}
	switch strings.TrimPrefix(a.Type, answerPrefix) {
	case "stream_info_response", "stream_create_response", "stream_update_response":
		sets := a.Config.Subjects
		if a.Config.Mirror != nil || a.Config.Sources != nil || a.Config.SubjectTransform != nil {
			sets = []string{everySubject} // what it copies may have any subject
		}
		if a.Config.Name != "" && len(sets) > 0 && allPatterns(sets) {
			k.streams = remember(k.streams, a.Config.Name, sets)
		}
	case "consumer_info_response", "consumer_create_response":
		sets := a.Config.FilterSubjects
		if a.Config.FilterSubject != "" {
			sets = append(sets, a.Config.FilterSubject)
		}
		if a.Stream != "" && a.Name != "" && allPatterns(sets) {
			k.consumers = remember(k.consumers, [2]string{a.Stream, a.Name}, sets)
		}
	}
}

func allPatterns(sets []string) bool {
	for _, s := range sets {
		if !pattern([]byte(s)) {
			return false
		}
	}
	return len(sets) <= maxSubjects
}

// remember keeps an entry; where there are too many, it begins anew.
func remember[K comparable](m map[K][]string, key K, sets []string) map[K][]string {
	if m == nil || len(m) >= maxCatalogue {
		m = map[K][]string{}
	}
	m[key] = sets
	return m
}
