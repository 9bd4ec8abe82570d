package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/sluicegate/sluice/examples/gateway/config"
)

// command is what the command line says.
type command struct {
	file                  string
	check, print, version bool
	flags                 config.Flags
}

// parse reads the command line. The error is flag.ErrHelp if it asks for help.
func parse(args, environ []string) (*command, error) {
	var c command
	fs := flag.NewFlagSet("gateway", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the error says it all
	for _, e := range environ {
		if name, ok := strings.CutPrefix(e, config.FileVariable+"="); ok {
			c.file = name
		}
	}
	fs.StringVar(&c.file, "config", c.file, "")
	fs.BoolVar(&c.check, "check", false, "")
	fs.BoolVar(&c.print, "print", false, "")
	fs.BoolVar(&c.version, "version", false, "")
	c.flags.Register(fs)
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w; see -h", err)
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; see -h", fs.Arg(0))
	case c.check && c.print:
		return nil, errors.New("-check and -print do not go together; -print checks first anyway")
	}
	return &c, nil
}

func help(w io.Writer) error {
	_, err := io.WriteString(w, `usage: gateway [-config FILE] [-check | -print | -version] [flags]

  -config FILE
    	read this TOML file; also the variable `+config.FileVariable+`
  -check
    	say whether file, environment and flags are right, and start nothing
  -print
    	print the configuration that they make, as such a file
  -version
    	print what this program was built from

Each key of the file is a flag, and an environment variable: the flag
-Customer.ListenAddress is SLUICE_CUSTOMER_LISTENADDRESS. A flag goes before
the variable, and that before the file. Lists are separated by commas.

On SIGHUP a gateway that runs reads all of it again. It takes over what has
changed of the keys that say so, and warns of the others, which need a restart; if
anything is wrong, it says what, and nothing changes. Files of certificates are
read again, and the log file is opened again, under the same names too.

`)
	if err != nil {
		return err
	}
	return config.Help(w)
}
