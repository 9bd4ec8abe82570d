package config

import (
	"reflect"
	"time"
)

// What a reload tag may say.
const (
	reloadNo  = ""    // it needs a restart
	reloadYes = "yes" // it can change
	reloadSet = "set" // it can change from one text to another, not from or to none
)

// Change is a key whose value differs.
type Change struct {
	Key string // "Customer.MaxOnlineNum"
	// Was and Now are the values, as log/slog shows them best. A secret is "***".
	Was, Now any
	// Restart says that it cannot change while the gateway runs.
	Restart bool
}

// Reload returns what is in force when a gateway that runs with c is told of next,
// which Load has accepted: that of next where a key can change, and that of c where
// it cannot. changes are all keys whose values differ, in the order of the struct.
func (c Config) Reload(next Config) (inForce Config, changes []Change) {
	inForce = c
	was, now, to := fieldsOf(&c), fieldsOf(&next), fieldsOf(&inForce)
	for i, f := range now {
		if reflect.DeepEqual(was[i].value(), f.value()) {
			continue
		}
		restart := f.reload == reloadNo || f.reload == reloadSet && (was[i].value() == "" || f.value() == "")
		changes = append(changes, Change{Key: f.key, Was: was[i].shown(), Now: f.shown(), Restart: restart})
		if !restart {
			to[i].store(f.value())
		}
	}
	return inForce, changes
}

// shown returns the value for a log.
func (f field) shown() any {
	switch v := f.value().(type) {
	case string:
		if f.check.name == secretOpt && v != "" {
			return "***"
		}
	case time.Duration:
		return formatDuration(v)
	case []string:
		if v == nil {
			return "none" // which is not an empty list
		}
	}
	return f.value()
}
