package secret

import (
	"fmt"
	"os"
	"strings"
)

// ReadFile returns the secret that is in a file, without the space around it: an
// editor ends the last line.
func ReadFile(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(text))
	if s == "" {
		return "", fmt.Errorf("%s has no secret in it", name)
	}
	return s, nil
}
