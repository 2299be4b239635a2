package postgres

import "strings"

// telling says whether a ParameterStatus may hold any text, and with it a masked value that a function put there: the name of
// the application, or a time zone that is spelled out. What the other parameters are is from a list.
func telling(body []byte) bool {
	sc := scan{b: body}
	name, value := string(sc.text()), string(sc.text())
	switch name {
	case "application_name":
		return true
	case "TimeZone":
		rest, numbered := strings.CutPrefix(value, "Etc/GMT")
		return !(numbered && len(rest) <= len("+12")) && strings.ContainsAny(value, "0123456789<>,:")
	}
	return false
}
