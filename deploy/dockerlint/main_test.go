package main

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	good := `FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN go build -o /x .

FROM scratch
COPY --from=build /x /x
USER 1000:1000
ENTRYPOINT ["/x"]
`
	for _, test := range []struct {
		name, old, new string
		want           string // in what is said; empty: it is clean
	}{
		{"clean", "", "", ""},
		{"casing", "AS build", "as build", "FromAsCasing"},
		{"relative directory", "WORKDIR /src", "WORKDIR src", "WorkdirRelativePath"},
		{"needs a shell", `ENTRYPOINT ["/x"]`, "ENTRYPOINT /x", "JSONArgsRecommended"},
		{"two ends", `ENTRYPOINT ["/x"]`, "ENTRYPOINT [\"/x\"]\nENTRYPOINT [\"/x\"]", "MultipleInstructionsDisallowed"},
		{"secret", "USER", "ENV API_TOKEN=1\nUSER", "SecretsUsedInArgOrEnv"},
		{"variable", "COPY . .", "COPY $SOURCE .", "UndefinedVar"},
		{"obsolete", "USER", "MAINTAINER me\nUSER", "MaintainerDeprecated"},
		{"no such instruction", "USER", "USE", "unknown instruction: USE"},
		{"no such option", "--from", "--form", "unknown flag: --form"},
		{"no such stage", "FROM scratch", "FROM $BASE", "UndefinedArgInFrom"},
		{"empty", good, "", "cannot be empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var said strings.Builder
			clean, err := check(t.Context(), "Dockerfile", []byte(strings.Replace(good, test.old, test.new, 1)), &said)
			if err != nil {
				t.Fatal(err)
			}
			if clean != (test.want == "") || !strings.Contains(said.String(), test.want) {
				t.Errorf("clean is %v; want %q in:\n%s", clean, test.want, said.String())
			}
		})
	}
}
