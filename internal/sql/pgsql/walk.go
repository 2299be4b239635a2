package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// rangeChildren visits the messages that a field holds.
func rangeChildren(visit func(*pg.Node)) func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
	return func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() != protoreflect.MessageKind || f.IsMap() {
			return true
		}
		if !f.IsList() {
			walkMessage(v.Message().Interface(), visit)
			return true
		}
		for i := range v.List().Len() {
			walkMessage(v.List().Get(i).Message().Interface(), visit)
		}
		return true
	}
}
