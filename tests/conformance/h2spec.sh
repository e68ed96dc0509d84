#!/bin/sh
# Build h2spec into the cache of tests (${HEADGATE_CACHE:-~/.cache/headgate}/bin), where Go is. Its newest release
# that is a Go module by the rules is 2.2.1; it pins nothing, so what it is built from is pinned here.
set -eu
H2SPEC=v2.2.1+incompatible
cache=${HEADGATE_CACHE:-$HOME/.cache/headgate}
[ ! -x "$cache/bin/h2spec" ] || exit 0
command -v go >/dev/null 2>&1 || {
    echo "h2spec.sh: go is not installed, and h2spec is built from its Go module" >&2
    exit 1
}
mkdir -p "$cache/bin"
folder=$(mktemp -d "$cache/h2spec-XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
go mod init h2spec
go get -tool "github.com/summerwind/h2spec/cmd/h2spec@$H2SPEC" github.com/spf13/cobra@v1.10.2 \
    github.com/fatih/color@v1.19.0 golang.org/x/net@v0.62.0
nice -n 19 go build -o h2spec github.com/summerwind/h2spec/cmd/h2spec
mv h2spec "$cache/bin/h2spec"
