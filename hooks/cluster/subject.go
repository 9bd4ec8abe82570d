package cluster

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/sluicegate/sluice/protocol"
)

// The subjects of a cluster are sluice.<name>.all, which every node listens to,
// sluice.<name>.n.<node> for each, and sluice.<name>.t.<topic>.

// longest is how long a topic's token may be before a hash takes its place.
const longest = 120

// plain reports whether c stands for itself in a token. What does not, would be
// a separator, a wildcard or white space to NATS, or is kept for our own marks.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// plainName reports whether a cluster may have this name.
func plainName(name string) bool {
	for i := range len(name) {
		if !plain(name[i]) {
			return false
		}
	}
	return name != "" && len(name) <= 32
}

// subjects makes the subjects of one cluster.
type subjects struct{ prefix string }

func subjectsOf(name string) subjects { return subjects{"sluice." + name + "."} }

// all is the subject that every node listens to.
func (s subjects) all() string { return s.prefix + "all" }

// node is the subject of one node.
func (s subjects) node(n protocol.Node) string { return s.prefix + "n." + hex.EncodeToString(n[:]) }

// topic is the subject of a topic. It has one token for the name, whatever the name
// is; names that are long share one only if their hashes are the same, and then a
// node gets messages that nobody there subscribes to.
func (s subjects) topic(name string) string {
	escaped := len(name)
	for i := range len(name) {
		if !plain(name[i]) {
			escaped += 2
		}
	}
	var b strings.Builder
	if escaped > longest {
		sum := sha256.Sum256([]byte(name))
		b.Grow(len(s.prefix) + 3 + base64.RawURLEncoding.EncodedLen(len(sum)))
		b.WriteString(s.prefix)
		b.WriteString("t.~")
		b.WriteString(base64.RawURLEncoding.EncodeToString(sum[:]))
		return b.String()
	}
	const digits = "0123456789ABCDEF"
	b.Grow(len(s.prefix) + 2 + escaped)
	b.WriteString(s.prefix)
	b.WriteString("t.")
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}
