package wsclient

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
)

// Inflate undoes permessage-deflate without context takeover (RFC 7692 7.2.2).
func Inflate(data []byte) ([]byte, error) {
	// The tail that the sender cut off, and an empty last block for the reader.
	tail := "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	r := flate.NewReader(io.MultiReader(bytes.NewReader(data), bytes.NewReader([]byte(tail))))
	out, err := io.ReadAll(io.LimitReader(r, maxFrame))
	if err != nil {
		return nil, fmt.Errorf("wsclient: inflate: %w", err)
	}
	return out, r.Close()
}

// Deflate compresses data for a frame with RSV1 (RFC 7692 7.2.1).
func Deflate(data []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		panic("wsclient: writing to memory failed: " + err.Error())
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff"))
}
