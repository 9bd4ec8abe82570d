package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// tokens lets in who shows a token that was signed with the key: a name and when
// it expires. Whoever issues them and the gateway share nothing but the key.
type tokens struct {
	key []byte
	now func() time.Time
}

var (
	errMissing = errors.New("a token is needed, in the query or as Authorization: Bearer")
	errForged  = errors.New("the token is not one of ours")
	errExpired = errors.New("the token has expired")
)

// issue returns a token for name: "name.expiry.signature", with the first and
// the last in base64.
func (t tokens) issue(name string, expires time.Time) string {
	claim := base64.RawURLEncoding.EncodeToString([]byte(name)) + "." + strconv.FormatInt(expires.Unix(), 10)
	return claim + "." + t.sign(claim)
}

func (t tokens) sign(claim string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(claim))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// check returns the name in a token. Nothing of it is looked at before the
// signature is known to be right, which takes as long for every wrong one.
func (t tokens) check(token string) (name string, err error) {
	if token == "" {
		return "", errMissing
	}
	dot := max(0, strings.LastIndexByte(token, '.'))
	claim, signature := token[:dot], strings.TrimPrefix(token[dot:], ".")
	if !hmac.Equal([]byte(signature), []byte(t.sign(claim))) {
		return "", errForged
	}
	encoded, expiry, _ := strings.Cut(claim, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	expires, err2 := strconv.ParseInt(expiry, 10, 64)
	if err != nil || err2 != nil || len(raw) == 0 {
		return "", errForged // signed with our key, but not by issue
	}
	if t.now().Unix() >= expires {
		return "", errExpired
	}
	return string(raw), nil
}

// Authenticate implements hooks.Authenticator. Pages cannot set headers on a
// WebSocket, and have the token in the query. As URLs are logged along the way,
// tokens should not live long.
func (t tokens) Authenticate(_ context.Context, r *http.Request) (hooks.Identity, error) {
	token := r.URL.Query().Get("token")
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = rest
	}
	name, err := t.check(token)
	if err != nil {
		return hooks.Identity{}, &hooks.Refusal{
			Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {"Bearer"}}, Reason: err.Error(),
		}
	}
	return hooks.Identity{CustomerID: name, Topics: []string{everyone}}, nil
}
