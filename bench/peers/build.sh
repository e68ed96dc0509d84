#!/bin/sh
# Build what we are measured against, an OpenTelemetry Collector and a vmagent, and tell where they are.
# Everything goes into a cache outside the tree; the versions are pinned here and nowhere else. Needs Go
# and its module proxy; takes a quarter of an hour of two cores the first time and a second after that.
set -eu
COLLECTOR=0.155.0       # collector and contrib components of one release
COLLECTOR_STABLE=1.61.0 # the same release of its stable modules
VICTORIAMETRICS=1.151.0

here=$(cd "$(dirname "$0")" && pwd)
cache=${HEADGATE_CACHE:-$HOME/.cache/headgate}
otelcol=$cache/otelcol-$COLLECTOR
vmagent=$cache/vmagent-$VICTORIAMETRICS
command -v go >/dev/null 2>&1 || {
    echo "build.sh: go is not installed, and both peers are built from their Go modules" >&2
    exit 1
}
# One package at a time and behind everybody else: a build must not disturb what is being measured.
export GOFLAGS="${GOFLAGS:-} -p=${HEADGATE_BUILD_JOBS:-1}"
# A program is there when it is whole: it is built under another name and moved into place.
mkdir -p "$cache"

if [ ! -x "$otelcol/otelcol" ]; then
    echo "building an OpenTelemetry Collector $COLLECTOR in $otelcol" >&2
    mkdir -p "$otelcol/bin" "$otelcol/source"
    GOBIN=$otelcol/bin nice -n 19 go install "go.opentelemetry.io/collector/cmd/builder@v$COLLECTOR"
    sed -e "s|@COLLECTOR@|v$COLLECTOR|; s|@STABLE@|v$COLLECTOR_STABLE|; s|@OUTPUT@|$otelcol/source|" \
        "$here/otelcol.manifest.yaml" >"$otelcol/manifest.yaml"
    # The builder writes the main module; the rest is ours, for its "go mod tidy" also asks for what the
    # components' own tests need, which not every module proxy has.
    "$otelcol/bin/builder" --skip-get-modules --skip-compilation --config "$otelcol/manifest.yaml" >&2
    (cd "$otelcol/source" && nice -n 19 go build -mod=mod -trimpath -ldflags="-s -w" -o ../otelcol.new . >&2)
    mv "$otelcol/otelcol.new" "$otelcol/otelcol"
fi

if [ ! -x "$vmagent/vmagent" ]; then
    echo "building vmagent $VICTORIAMETRICS in $vmagent" >&2
    mkdir -p "$vmagent"
    # "go install package@version" refuses modules with replace directives; a main module that names the
    # package as its tool does not.
    (
        cd "$vmagent"
        [ -f go.mod ] || go mod init peers >&2
        nice -n 19 go get -tool "github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent@v$VICTORIAMETRICS" >&2
        nice -n 19 go build -o vmagent.new github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent >&2
        mv vmagent.new vmagent
    )
fi

echo "export HEADGATE_OTELCOL=$otelcol/otelcol HEADGATE_VMAGENT=$vmagent/vmagent"
