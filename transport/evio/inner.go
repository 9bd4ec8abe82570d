//go:build darwin || freebsd || linux

package evio

import (
	"fmt"
	"reflect"
	"sync"

	engine "github.com/tidwall/evio"
)

// inner knows where the engine keeps what its connections do not tell: the
// descriptor, and which loop they are on.
type inner struct {
	once          sync.Once
	fd, loop, idx int // of fields
	err           error
}

// of reads c's descriptor and the index of its loop. It must be called on that
// loop.
func (in *inner) of(c engine.Conn) (fd, index int, err error) {
	v := reflect.ValueOf(c)
	in.once.Do(func() {
		if in.err = in.find(v.Type()); in.err != nil {
			in.err = fmt.Errorf("evio: this version of github.com/tidwall/evio cannot be used: %w", in.err)
		}
	})
	if in.err != nil {
		return 0, 0, in.err
	}
	v = v.Elem()
	return int(v.Field(in.fd).Int()), int(v.Field(in.loop).Elem().Field(in.idx).Int()), nil
}

// find looks for the fields in the type of a connection.
func (in *inner) find(conn reflect.Type) (err error) {
	if conn.Kind() != reflect.Pointer || conn.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("its connections are of type %s", conn)
	}
	conn = conn.Elem()
	if in.fd, _, err = field(conn, "fd", reflect.Int); err != nil {
		return err
	}
	var loop reflect.Type
	if in.loop, loop, err = field(conn, "loop", reflect.Pointer); err != nil {
		return err
	}
	if loop.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("its loops are of type %s", loop)
	}
	in.idx, _, err = field(loop.Elem(), "idx", reflect.Int)
	return err
}

// field finds a field of the struct t.
func field(t reflect.Type, name string, kind reflect.Kind) (index int, of reflect.Type, err error) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Name == name && f.Type.Kind() == kind {
			return i, f.Type, nil
		}
	}
	return 0, nil, fmt.Errorf("%s has no field %s that is of kind %s", t, name, kind)
}
