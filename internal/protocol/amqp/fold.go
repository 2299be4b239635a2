package amqp

import (
	"strings"

	"gatehouse/internal/access"
)

// folds puts together what carries a name that the broker made up: its queues, and addresses of direct replies.
func folds(*access.Connection) func(resource string) (string, bool) {
	return func(resource string) (string, bool) {
		if strings.HasSuffix(resource, "*") {
			return "", false
		}
		for _, made := range []string{serverNamed, replyKeys} {
			for _, at := range []string{"/queue/", "/exchange/" + defaultExchange + "/"} {
				if i := strings.Index(resource, at+made); i >= 0 && !strings.Contains(resource[:i], "/") {
					return resource[:i+len(at)+len(made)] + "*", true
				}
			}
		}
		return "", false
	}
}

// parent is what keys of one exchange lie below, and the words of a key: never all exchanges, nor all queues.
func parent(resource string) (string, bool) {
	resource = strings.TrimSuffix(strings.TrimSuffix(resource, "/"), ".")
	parts := strings.SplitN(resource, "/", 4)
	if len(parts) < 4 || parts[1] != "exchange" {
		return "", false
	}
	if i := strings.LastIndexByte(parts[3], '.'); i >= 0 {
		return resource[:len(resource)-len(parts[3])+i+1], true
	}
	return strings.Join(parts[:3], "/") + "/", true
}
