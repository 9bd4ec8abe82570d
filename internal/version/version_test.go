package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestString(t *testing.T) {
	built := "\nbuilt by " + runtime.Version() + " for " + runtime.GOOS + "/" + runtime.GOARCH
	settings := func(pairs ...string) (s []debug.BuildSetting) {
		for i := 0; i < len(pairs); i += 2 {
			s = append(s, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return s
	}
	for want, b := range map[string]debug.BuildInfo{
		"version (devel)\ncommit (devel)": {},
		"version v1.2.3\ncommit (devel)":  {Main: debug.Module{Version: "v1.2.3"}},
		"version (devel)\ncommit 0123abc, 2026-01-02T03:04:05Z": {
			Main: debug.Module{Version: "(devel)"}, Settings: settings("vcs", "git", "vcs.revision", "0123abc", "vcs.time", "2026-01-02T03:04:05Z", "vcs.modified", "false"),
		},
		"version (devel)\ncommit 0123abc and changes": {Settings: settings("vcs.revision", "0123abc", "vcs.modified", "true")},
	} {
		if got := of(&b).String(); got != want+built {
			t.Errorf("got\n%s\nwant\n%s", got, want+built)
		}
	}
}

// It is of this program.
func TestRead(t *testing.T) {
	if i := Read(); i.Version == "" || i.Go != runtime.Version() || i.Platform == "" {
		t.Errorf("%+v", i)
	}
}
