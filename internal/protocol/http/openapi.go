package http

type openapi struct{}
type operation struct{ action string }

func (o *openapi) operation(asked, *document) (*operation, error) { return nil, nil }
func (o *openapi) match([]string) (*template, []string)           { return nil, nil }

func (o *operation) readsBody() bool { return false }
