package identity

import (
	"container/list"
	"crypto/sha256"
	"sync"

	"gatehouse/internal/access"
)

// cacheKey is the SHA-256 of a token: the cache holds no token.
type cacheKey [sha256.Size]byte

// verified is a token that was found good, and by whose word: it is good again only under the same issuer document and
// the same keys.
type verified struct {
	principal *access.Principal
	issuer    *issuer
	keys      *keySet
	times     times

	key  cacheKey
	cost int
}

// costOf estimates, from above, the bytes that an entry for a token of n bytes keeps alive: claims as a tree take
// several times their text.
func costOf(n int) int { return 1024 + 6*n }

// cache is a bounded, least-recently-used set of verified tokens. It is safe for concurrent use.
type cache struct {
	maxEntries, maxBytes int

	mu      sync.Mutex
	entries map[cacheKey]*list.Element
	recent  *list.List // of *verified, most recently used first
	bytes   int
}

func newCache(maxEntries, maxBytes int) *cache {
	return &cache{
		maxEntries: maxEntries, maxBytes: maxBytes,
		entries: make(map[cacheKey]*list.Element), recent: list.New(),
	}
}

func (c *cache) get(k cacheKey) *verified {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*verified)
}

func (c *cache) put(v *verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.entries[v.key])
	if v.cost > c.maxBytes {
		return
	}
	for c.recent.Len() > 0 && (c.recent.Len() >= c.maxEntries || c.bytes+v.cost > c.maxBytes) {
		c.remove(c.recent.Back())
	}
	c.entries[v.key] = c.recent.PushFront(v)
	c.bytes += v.cost
}

// drop forgets v, unless something else took its place.
func (c *cache) drop(v *verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[v.key]; e != nil && e.Value.(*verified) == v {
		c.remove(e)
	}
}

func (c *cache) remove(e *list.Element) {
	if e == nil {
		return
	}
	v := c.recent.Remove(e).(*verified)
	delete(c.entries, v.key)
	c.bytes -= v.cost
}
