package load

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// parts of a mixed run.
const (
	partEcho      = "echo"
	partGroups    = "groups"
	partTopics    = "topics"
	partLogin     = "login"
	partReconnect = "reconnect"
)

// defaultMix is mostly talk.
const defaultMix = "echo=40,groups=30,topics=15,login=10,reconnect=5"

// A mix is parts with their weights.
type mix struct {
	parts   []string
	weights []int
	sum     int
}

func parseMix(s string) (m mix, err error) {
	for item := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(item, "=")
		switch name {
		case partEcho, partGroups, partTopics, partLogin, partReconnect:
		default:
			return m, fmt.Errorf("load: Config.Mix has a part %q; use echo, groups, topics, login and reconnect, as in %q", name, defaultMix)
		}
		weight, err := strconv.Atoi(value)
		if err != nil || weight < 0 || weight > 1_000_000 {
			return m, fmt.Errorf("load: Config.Mix gives %s the weight %q; use a whole number from 0 to 1,000,000", name, value)
		}
		m.parts, m.weights, m.sum = append(m.parts, name), append(m.weights, weight), m.sum+weight
	}
	if m.sum == 0 {
		return m, fmt.Errorf("load: Config.Mix is %q, in which nothing has a weight", s)
	}
	return m, nil
}

// pick returns a part at random, as often as its weight says.
func (m mix) pick(r *rand.Rand) string {
	at := r.IntN(m.sum)
	for i, w := range m.weights {
		if at -= w; at < 0 {
			return m.parts[i]
		}
	}
	return m.parts[len(m.parts)-1]
}
