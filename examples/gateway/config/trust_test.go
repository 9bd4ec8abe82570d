package config

import (
	"fmt"
	"strings"
	"testing"
)

// known is a secret that no message may have in it.
const known = "correct horse battery staple"

// anExposed is what is said of an address in the section that nothing protects.
func anExposed(section, addr string) string {
	return fmt.Sprintf("%[1]s.ListenAddress is %[2]q, which other computers reach, and who is let in controls all clients; "+
		"set %[1]s.Secret or %[1]s.SecretFile, %[1]s.TLSClientCA with a certificate, or %[1]s.TrustedNetworks, or listen on 127.0.0.1; "+
		"if anyone may indeed, set %[1]s.InsecureAllowAnyone", section, addr)
}

func TestWhoIsLetIn(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string // without "f.toml:"
	}{
		{"existing files that other computers reach", "[Worker]\nListenAddress = '0.0.0.0:6061'\n[Task]\nListenAddress = '[::]:6062'", []string{
			"2: " + anExposed("Worker", "0.0.0.0:6061"), "4: " + anExposed("Task", "[::]:6062"),
		}},
		{"one address", "Task.ListenAddress = '10.0.0.5:6062'", []string{"1: " + anExposed("Task", "10.0.0.5:6062")}},
		{"this computer", "Task.ListenAddress = ':6062'\nWorker.ListenAddress = '[::1]:6061'", nil},
		{"a name, which may be this computer's", "Task.ListenAddress = 'gateway.internal:6062'", nil},
		{"a secret", "Task.ListenAddress = '0.0.0.0:6062'\nTask.Secret = '" + known + "'", nil},
		{"a file with one", "Task.ListenAddress = '0.0.0.0:6062'\nTask.SecretFile = 'secret'", nil},
		{"client certificates", "[Task]\nListenAddress = '0.0.0.0:6062'\nTLSCert = 'c'\nTLSKey = 'k'\nTLSClientCA = 'a'", nil},
		{"no client certificates", "[Task]\nListenAddress = '0.0.0.0:6062'\nTLSCert = 'c'\nTLSKey = 'k'", []string{"2: " + anExposed("Task", "0.0.0.0:6062")}},
		{"networks", "[Task]\nListenAddress = '0.0.0.0:6062'\nTrustedNetworks = ['10.0.0.0/8']", nil},
		{"anyone", "[Task]\nListenAddress = '0.0.0.0:6062'\nInsecureAllowAnyone = true", nil},
		{"explicitly not anyone", "[Task]\nListenAddress = '0.0.0.0:6062'\nInsecureAllowAnyone = false", []string{"2: " + anExposed("Task", "0.0.0.0:6062")}},
		{"another section's secret", "Task.ListenAddress = '0.0.0.0:6062'\nWorker.Secret = '" + known + "'", []string{"1: " + anExposed("Task", "0.0.0.0:6062")}},
		{"two secrets", "[Task]\nSecretFile = 'f'\nSecret = '" + known + "'", []string{
			`3: Task.Secret and Task.SecretFile (line 2) are the same thing; remove one`,
		}},
		{"halves", "[Worker]\nTLSCert = 'c'\n[Task]\nTLSKey = 'k'\nTLSClientCA = 'a'", []string{
			`2: Worker.TLSCert needs Worker.TLSKey too; set it`, `4: Task.TLSKey needs Task.TLSCert too; set it`,
			`5: Task.TLSClientCA needs Task.TLSCert too; set it`,
		}},
		{"contradictions", "[Task]\nInsecureAllowAnyone = true\nTrustedNetworks = ['10.0.0.0/8']", []string{
			`3: Task.TrustedNetworks and Task.InsecureAllowAnyone (line 2) contradict each other: the one lets everybody in; remove one`,
		}},
		{"no networks", "[Task]\nTrustedNetworks = ['10.0.0.5', '10.0.0.1/8']\n[Worker]\nTrustedNetworks = ['::/0']", []string{
			`2: Task.TrustedNetworks has "10.0.0.1/8": ` + aNetwork,
			`4: Worker.TrustedNetworks has "::/0": that is everybody; name networks, or set InsecureAllowAnyone if it is meant`,
		}},
		{"wrong types", "[Task]\nInsecureAllowAnyone = 'yes'\nTrustedNetworks = '10.0.0.0/8'\nSecret = 314159265358979", []string{
			`2: Task.InsecureAllowAnyone is the text "yes"; use true or false`,
			`3: Task.TrustedNetworks is the text "10.0.0.0/8"; use a list of networks, such as ["10.0.0.0/8"]`,
			`4: Task.Secret is not a text; use a text in quotes`,
		}},
		{"operators from elsewhere", "[Admin]\nListenAddress = '0.0.0.0:6064'\nActions = true", []string{
			`2: Admin.ListenAddress is "0.0.0.0:6064", which other computers reach, and who reaches it sees who is connected; ` +
				`set Admin.Token or Admin.TokenFile, or listen on 127.0.0.1`,
			`3: Admin.Actions lets operators act on all clients, and needs Admin.Token or Admin.TokenFile; set one`,
		}},
		{"operators with a token", "[Admin]\nListenAddress = '0.0.0.0:6064'\nActions = true\nTokenFile = 'f'", nil},
		{"operators on this computer", "[Admin]\nListenAddress = ':6064'", nil},
		{"operators with two tokens, and half of a certificate", "[Admin]\nToken = '" + known + "'\nTokenFile = 'f'\nTLSKey = 'k'", []string{
			`3: Admin.TokenFile and Admin.Token (line 2) are the same thing; remove one`, `4: Admin.TLSKey needs Admin.TLSCert too; set it`,
		}},
		{"operators with a short token", "[Admin]\nListenAddress = '0.0.0.0:6064'\nActions = true\nToken = 'horse'", []string{
			`4: Admin.Token has 5 bytes; use at least 16, random ones`,
		}},
		{"operators where clients are", "Customer.ListenAddress = '127.0.0.1:6060'\nAdmin.ListenAddress = ':6060'", []string{
			`2: Admin.ListenAddress is the address of Customer.ListenAddress too (line 1); give each a port of its own`,
		}},
		{"a short secret", "Task.ListenAddress = '0.0.0.0:6062'\nTask.Secret = 'horse'", []string{`2: Task.Secret has 5 bytes; use at least 16, random ones`}},
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

// A secret is read by every way, and shown by none.
func TestSecretIsNotShown(t *testing.T) {
	for name, load := range map[string]func() (Config, error){
		"file":     func() (Config, error) { return load("f.toml", []byte("Task.Secret = '"+known+"'"), nil, nil) },
		"variable": func() (Config, error) { return load("", nil, []string{"SLUICE_TASK_SECRET=" + known}, nil) },
		"flag":     func() (Config, error) { return load("", nil, nil, flagsOf(t, "-Task.Secret", known)) },
	} {
		c, err := load()
		if err != nil || c.Task.Secret != known {
			t.Errorf("%s: %q, %v", name, c.Task.Secret, err)
		}
		text := c.TOML()
		if strings.Contains(text, known) || !strings.Contains(text, "\n# Secret = \"it is set, and not shown\"\n") {
			t.Errorf("%s: it is printed:\n%s", name, text)
		}
	}
	const short = "horse\xff"
	for name, env := range map[string][]string{"short": {"SLUICE_TASK_SECRET=" + short}} {
		if _, err := load("", nil, env, nil); err == nil || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSwitches(t *testing.T) {
	for text, want := range map[string]string{"true": "true", "false": "false", "1": "error", "": "error", "yes": "error"} {
		c, err := load("", nil, []string{"SLUICE_TASK_INSECUREALLOWANYONE=" + text}, nil)
		got := fmt.Sprint(c.Task.InsecureAllowAnyone)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, args := range [][]string{{"-Task.InsecureAllowAnyone"}, {"-Task.InsecureAllowAnyone=true", "-Limit.OnOpen", "1"}} {
		if c, err := load("", nil, nil, flagsOf(t, args...)); err != nil || !c.Task.InsecureAllowAnyone {
			t.Errorf("%q: %v", args, err)
		}
	}
}
