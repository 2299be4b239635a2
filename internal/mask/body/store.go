package body

import (
	"sync"

	"gatehouse/internal/access"
)

// Store keeps what was made of masks. Its zero value is ready, and safe for concurrent use.
type Store[T any] struct {
	mu  sync.Mutex
	all map[identity]*T
}

// identity tells one set of masks from another: what policy hands out is immutable, and made anew when it changes.
type identity struct {
	domain  string
	whole   *access.Mask
	paths   *access.PathMask
	headers *access.HeaderMask
	detect  *access.Detection
	n       [3]int
}

// maxStored bounds what is kept; beyond it everything is forgotten and made anew.
const maxStored = 1024

// Of returns what was made of the masks in a domain, or makes it; nil where there are no masks.
func (s *Store[T]) Of(d access.DocumentMasks, domain string, produce func() (*T, error)) (*T, error) {
	if d.None() {
		return nil, nil
	}
	id := identity{domain: domain, whole: d.Whole, paths: first(d.Paths), headers: first(d.Headers), detect: first(d.Detect),
		n: [3]int{len(d.Paths), len(d.Headers), len(d.Detect)}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if made, ok := s.all[id]; ok {
		return made, nil
	}
	made, err := produce()
	if err != nil {
		return nil, err
	}
	if s.all == nil || len(s.all) >= maxStored {
		s.all = map[identity]*T{}
	}
	s.all[id] = made
	return made, nil
}

func first[T any](list []T) *T {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}
