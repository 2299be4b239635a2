package http

import (
	"strings"

	"gatehouse/internal/access"
)

// folds finds the patterns of resources whose paths a template of the connection matches: what stands in its braces is any. A
// parameter with literal text beside it stays as it was seen.
func folds(c *access.Connection) func(resource string) (string, bool) {
	if c.HTTP == nil || len(c.HTTP.Paths) == 0 {
		return nil
	}
	paths, err := newTemplates(c.HTTP.Paths, c.HTTP.IgnoreCase)
	if err != nil {
		return nil
	}
	plain := strings.NewReplacer("%25", "%", "%2A", "*") // as access.PathResource escapes
	return func(resource string) (string, bool) {
		place, path, below := strings.Cut(resource, "/")
		if !below || strings.Contains(path, "*") {
			return "", false
		}
		segments := strings.Split(path, "/")
		names := make([]string, len(segments))
		for i, s := range segments {
			names[i] = plain.Replace(s)
		}
		found, values := paths.match(names)
		if found == nil {
			return "", false
		}
		for i, isParam := range found.kinds {
			if !isParam {
				continue
			}
			if values[0] == names[i] {
				segments[i] = "*"
			}
			values = values[1:]
		}
		return place + "/" + strings.Join(segments, "/"), true
	}
}

// parent is the path above, where it is not the whole connection.
func parent(resource string) (string, bool) {
	resource = strings.TrimSuffix(resource, "/")
	i := strings.LastIndexByte(resource, '/')
	if i < 0 || strings.IndexByte(resource, '/') == i {
		return "", false
	}
	return resource[:i+1], true
}
