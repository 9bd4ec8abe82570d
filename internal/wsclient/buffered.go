package wsclient

// Buffered returns how many bytes of what the server sent are read from the
// connection already and not yet by the caller.
func (c *Conn) Buffered() int { return c.r.Buffered() }
