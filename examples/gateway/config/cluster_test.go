package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCluster(t *testing.T) {
	const aServer = `it must be an address of NATS such as "nats://10.0.0.9:4222", or with tls, ws or wss in the place of nats`
	const byWhom = `it must not say by whom; set Cluster.CredentialsFile, Cluster.TokenFile, or Cluster.User and Cluster.PasswordFile`
	const aName = "it must be letters, digits, - and _, at most 32"
	long := strings.Repeat("n", 33)
	for _, tt := range []struct {
		name, file string
		want       []string // without "f.toml:"
	}{
		{"servers", "Cluster.Servers = ['nats://10.0.0.9:4222', 'tls://[fd00::9]:4222', 'nats.internal', '10.0.0.9:4222']", nil},
		{"servers by WebSocket", "Cluster.Servers = ['ws://10.0.0.9/nats', 'wss://nats.example']", nil},
		{"a user", "[Cluster]\nServers = ['nats.internal']\nUser = 'u'\nPasswordFile = 'p'\nTLSCA = 'ca'", nil},
		{"credentials and a certificate", "[Cluster]\nServers = ['nats.internal']\nCredentialsFile = 'c'\nTLSCert = 'c'\nTLSKey = 'k'\nWhole = true", nil},
		{"no servers", "Cluster.Servers = ['nats://', 'x']", []string{`1: Cluster.Servers has "nats://": ` + aServer}},
		{"of something else", "Cluster.Servers = ['http://10.0.0.9:4222']", []string{`1: Cluster.Servers has "http://10.0.0.9:4222": ` + aServer}},
		{"a bad port", "Cluster.Servers = ['10.0.0.9:nats']", []string{`1: Cluster.Servers has "10.0.0.9:nats": ` + aServer}},
		{"no port at all", "Cluster.Servers = ['10.0.0.9:0']", []string{`1: Cluster.Servers has "10.0.0.9:0": ` + aServer}},
		{"an empty one", "Cluster.Servers = ['']", []string{`1: Cluster.Servers has "": ` + aServer}},
		{"a path", "Cluster.Servers = ['nats://10.0.0.9/a']", []string{`1: Cluster.Servers has "nats://10.0.0.9/a": it must end after the port`}},
		{"a query", "Cluster.Servers = ['nats://10.0.0.9?a']", []string{`1: Cluster.Servers has "nats://10.0.0.9?a": it must end after the port`}},
		{"a text", "Cluster.Servers = '10.0.0.9:4222'", []string{`1: Cluster.Servers is the text "10.0.0.9:4222"; use a list of addresses, such as ["nats://10.0.0.9:4222"]`}},
		{"a password", "Cluster.Servers = ['nats://me:horse@10.0.0.9']", []string{`1: Cluster.Servers has "***@10.0.0.9": ` + byWhom}},
		{"a password in a text", "Cluster.Servers = 'nats://me:horse@10.0.0.9'", []string{`1: Cluster.Servers is the text "***@10.0.0.9"; use a list of addresses, such as ["nats://10.0.0.9:4222"]`}},
		{"both kinds", "Cluster.Servers = ['ws://10.0.0.9', 'nats://10.0.0.9']", []string{`1: Cluster.Servers has servers over ws or wss and others; use the one or the other`}},
		{"names", "[Cluster]\nName = 'a.b'", []string{`2: Cluster.Name is "a.b": ` + aName}},
		{"no name", "[Cluster]\nName = ''", []string{`2: Cluster.Name is "": ` + aName}},
		{"a long name", "[Cluster]\nName = '" + long + "'", []string{`2: Cluster.Name is "` + long + `": ` + aName}},
		{"no heartbeat", "[Cluster]\nHeartbeat = '0s'", []string{`2: Cluster.Heartbeat is "0s"; ` + aDuration + `10ms to 8760h`}},
		{"what means nothing without servers", "[Cluster]\nWhole = true\nRetry = true\nTokenFile = 't'\nTLSCA = 'ca'", []string{
			`2: Cluster.Whole needs Cluster.Servers too; set it`, `3: Cluster.Retry needs Cluster.Servers too; set it`,
			`4: Cluster.TokenFile needs Cluster.Servers too; set it`, `5: Cluster.TLSCA needs Cluster.Servers too; set it`,
		}},
		{"after bad servers", "[Cluster]\nServers = ['http://x']\nWhole = true", []string{`2: Cluster.Servers has "http://x": ` + aServer}},
		{"halves", "[Cluster]\nServers = ['x']\nUser = 'u'\nTLSKey = 'k'", []string{
			`3: Cluster.User needs Cluster.PasswordFile too; set it`, `4: Cluster.TLSKey needs Cluster.TLSCert too; set it`,
		}},
		{"two ways", "[Cluster]\nServers = ['x']\nTokenFile = 't'\nCredentialsFile = 'c'", []string{
			`4: Cluster.CredentialsFile and Cluster.TokenFile (line 3) are two ways to be let in by NATS; remove one`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load("f.toml", []byte(tt.file), nil, nil)
			got := fmt.Sprint(err)
			want := "f.toml:" + strings.Join(tt.want, "\nf.toml:")
			if len(tt.want) == 0 {
				want = "<nil>"
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestClusterByFlagsAndVariables(t *testing.T) {
	got, err := load("", nil, []string{"SLUICE_CLUSTER_SERVERS=nats://a:4222, nats://b:4222", "SLUICE_CLUSTER_HEARTBEAT=1s"}, flagsOf(t, "-Cluster.Whole", "-Cluster.Name", "edge"))
	want := Default()
	want.Cluster = Cluster{Servers: []string{"nats://a:4222", "nats://b:4222"}, Name: "edge", Whole: true, Heartbeat: time.Second}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got.Cluster, want.Cluster)
	}
	if printed, err := load("printed.toml", []byte(got.TOML()), nil, nil); err != nil || !reflect.DeepEqual(printed, got) {
		t.Errorf("%v\nprinted %+v", err, printed.Cluster)
	}
}

// A gateway stays in its cluster as long as it runs.
func TestClusterNeedsARestart(t *testing.T) {
	is := Default()
	next := is
	next.Cluster = Cluster{
		Servers: []string{"a"}, Name: "edge", Whole: true, Retry: true, Heartbeat: time.Second, CredentialsFile: "c",
		User: "u", PasswordFile: "p", TokenFile: "t", TLSCA: "ca", TLSCert: "c", TLSKey: "k",
	}
	inForce, changes := is.Reload(next)
	if !reflect.DeepEqual(inForce, is) || len(changes) != reflect.TypeFor[Cluster]().NumField() {
		t.Errorf("%d changes, in force is %+v", len(changes), inForce.Cluster)
	}
	for _, c := range changes {
		if !c.Restart {
			t.Errorf("%s changes", c.Key)
		}
	}
}
