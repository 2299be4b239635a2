package aws

import (
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// shelf keeps the tables that connections bring along, beside the one in the binary.
type shelf struct {
	own func() *models
	mu  sync.Mutex
	all map[string]*models // by file
}

const maxShelf = 64 // tables at once

func newShelf(own func() *models) *shelf { return &shelf{own: own, all: map[string]*models{}} }

// of returns the table of a connection. A file is read once: who changes it gives it another name.
func (s *shelf) of(c *access.Connection) (*models, error) {
	if c.AWS == nil || c.AWS.Models == "" {
		return s.own(), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.all[c.AWS.Models]; m != nil {
		return m, nil
	}
	m, err := readModels(c.AWS.Models)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "aws.models", err, "the service models of connection %s cannot be read", c.Name)
	}
	if len(s.all) >= maxShelf {
		clear(s.all)
	}
	s.all[c.AWS.Models] = m
	return m, nil
}
