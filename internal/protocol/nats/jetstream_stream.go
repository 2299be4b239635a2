package nats

import (
	"strings"

	"gatehouse/internal/access"
)

func (c *call) account([]string, string) {
	c.empty()
	c.act(actAccountInfo, access.Action{Resource: access.Name(c.connection)})
}

func (c *call) createStream(names []string, _ string) {
	c.act(actCreateStream, c.stream(names[0]))
	o := c.read()
	c.config(names[0], o, true)
	o.done()
}

func (c *call) updateStream(names []string, _ string) {
	c.act(actUpdateStream, c.stream(names[0]))
	o := c.read()
	for _, limit := range []string{"max_msgs", "max_bytes", "max_age", "max_msgs_per_subject"} {
		if o.number(limit) > 0 { // what is beyond it is removed
			c.relate(actPurgeStream, c.stream(names[0]))
			c.unbounded = true
		}
	}
	c.config(names[0], o, true)
	o.done()
}

// config judges the configuration of a stream: whatever it does besides being there. captures says that the subjects without a
// mention are those of the stream's own name.
func (c *call) config(stream string, o *object, captures bool) {
	if name := o.text("name"); name != stream {
		c.fail("the subject names the stream %q, the payload %q", stream, name)
	}
	o.known("description", "retention", "max_consumers", "max_msgs", "max_bytes", "max_age", "max_msgs_per_subject", "max_msg_size",
		"discard", "storage", "num_replicas", "no_ack", "duplicate_window", "placement", "compression", "first_seq", "allow_direct",
		"mirror_direct", "discard_new_per_subject", "sealed", "deny_delete", "deny_purge", "allow_rollup_hdrs", "consumer_limits",
		"allow_msg_ttl", "subject_delete_marker_ttl", "allow_msg_counter", "allow_atomic", "allow_batched", "allow_msg_schedules",
		"persist_mode", "metadata", "pedantic")
	subjects, sources := o.subjects("subjects"), o.objects("sources")
	mirror := o.object("mirror")
	if captures && len(subjects) == 0 && len(sources) == 0 && mirror == nil {
		subjects = []string{stream}
	}
	for _, s := range subjects {
		c.captures(s)
	}
	if mirror != nil {
		sources = append(sources, mirror)
	}
	for _, s := range sources {
		c.source(s)
	}
	if t := o.object("subject_transform"); t != nil {
		c.transform(t, stream, subjects)
	}
	if r := o.object("republish"); r != nil {
		r.known("headers_only")
		c.transform(r, stream, subjects)
	}
}

// source judges one stream that another copies.
func (c *call) source(o *object) {
	name := o.text("name")
	if name == "" || strings.ContainsAny(name, "*>./\\ \t") {
		c.fail("a source has no name of a stream")
		return
	}
	o.known("opt_start_seq", "opt_start_time")
	if o.has("external") {
		c.opaque("a stream of another account or domain (" + o.where + "external)")
	}
	sets := everything()
	if f := o.subject("filter_subject"); f != "" {
		sets = []string{f}
	}
	transforms := o.objects("subject_transforms")
	if len(transforms) > 0 {
		sets = nil
	}
	for _, t := range transforms {
		src := t.subject("src")
		if src == "" {
			src = everySubject
		}
		sets = append(sets, src)
		if t.text("dest") != "" {
			c.transform(t, name, nil)
		}
		t.done()
	}
	c.act(actConsume, c.stream(name))
	c.reading(sets)
	c.takes(name, sets)
	o.done()
}

// transform judges messages that are written under another subject.
func (c *call) transform(o *object, stream string, subjects []string) {
	sets := subjects
	if src := o.subject("src"); src != "" {
		sets = []string{src}
	}
	if len(sets) == 0 {
		sets = []string{everySubject}
	}
	to, ok := destination(o.text("dest"))
	if !ok {
		c.fail("%sdest is no subject", o.where)
		return
	}
	c.sends(to)
	c.takes(stream, sets)
	o.done()
}

// destination returns the set of subjects that a mapping writes to: what it puts in the place of a word is any word, or any words
// from there on where it could be several.
func destination(dest string) (set string, ok bool) {
	words := strings.Split(dest, ".")
	for i, w := range words {
		switch {
		case strings.HasPrefix(w, "{{wildcard(") && strings.HasSuffix(w, ")}}"), strings.HasPrefix(w, "{{partition(") && strings.HasSuffix(w, ")}}"),
			len(w) > 1 && w[0] == '$' && strings.Trim(w[1:], "0123456789") == "":
			words[i] = "*"
		case strings.ContainsAny(w, "{}"):
			return strings.Join(append(words[:i:i], everySubject), "."), true
		}
	}
	set = strings.Join(words, ".")
	return set, pattern([]byte(set))
}

func (c *call) listStreams([]string, string) {
	o := c.read()
	o.known("offset")
	o.subject("subject")
	o.done()
	c.act(actListStreams, c.streams())
}

func (c *call) streamInfo(names []string, _ string) {
	o := c.read()
	o.known("offset", "deleted_details")
	c.act(actStreamInfo, c.stream(names[0]))
	if f := o.subject("subjects_filter"); f != "" {
		c.relate(actSubscribe, c.subjectResource(f)) // the answer lists the subjects
	}
	o.done()
}

func (c *call) deleteStream(names []string, _ string) {
	c.empty()
	c.act(actDeleteStream, c.stream(names[0]))
	c.unbounded = true
}

func (c *call) purgeStream(names []string, _ string) {
	o := c.read()
	filter, seq, keep := o.subject("filter"), o.number("seq"), o.number("keep")
	o.done()
	c.unbounded = filter == "" && seq == 0 && keep == 0
	c.act(actPurgeStream, c.stream(names[0]))
}

func (c *call) deleteMessage(names []string, _ string) {
	o := c.read()
	o.known("no_erase")
	o.number("seq")
	o.done()
	c.act(actDeleteMessage, c.stream(names[0]))
}

// snapshotStream: the chunks of a backup are packed, and no mask reaches into them.
func (c *call) snapshotStream(names []string, _ string) {
	o := c.read()
	o.known("no_consumers", "chunk_size", "window_size", "jsck")
	c.delivered(o)
	o.done()
	c.act(actSnapshotStream, c.stream(names[0]))
	c.reading(everything())
	c.takes(names[0], everything())
}

// restoreStream: the messages come afterwards, packed.
func (c *call) restoreStream(names []string, _ string) {
	c.act(actRestoreStream, c.stream(names[0]))
	o := c.read()
	o.known("state") // counts of what will come
	if config := o.object("config"); config != nil {
		c.config(names[0], config, true)
		config.done()
	} else {
		c.fail("the payload has no config")
	}
	o.done()
	for _, a := range c.actions {
		if a.Name == actSubscribe {
			c.relate(actPublish, a)
		}
	}
}

// chunk judges a part of a backup, or the acknowledgement of one.
func (c *call) chunk(words []string) {
	switch {
	case len(words) == 3 && words[0] == "RESTORE":
		c.act(actRestoreStream, c.stream(words[1]))
	case len(words) == 3 && words[0] == "ACK":
		c.act(actSnapshotStream, c.stream(words[1]))
	default:
		c.opaque("the subject")
	}
}

// manageStream is about the servers that have a stream.
func (c *call) manageStream(names []string, _ string) {
	c.anything()
	c.act(actManageCluster, c.stream(names[0]))
}

func (c *call) manage([]string, string) {
	c.anything()
	c.act(actManageCluster, access.Action{Resource: access.Name(c.connection)})
}

// anything reads a payload of which no key matters beside the action.
func (c *call) anything() {
	o := c.read()
	o.known("peer", "placement", "server", "cluster", "tags", "peer_id")
	o.done()
}

// delivered asks for the subject that a payload has messages sent to.
func (c *call) delivered(o *object) (subject string) {
	subject = o.text("deliver_subject")
	if subject == "" {
		return ""
	}
	if !literal([]byte(subject)) {
		c.fail("%sdeliver_subject is no subject", o.where)
	}
	if !c.mine(subject) {
		c.sends(subject)
	}
	return subject
}
