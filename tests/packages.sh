#!/bin/sh
# Install the real Prometheus, exporters, Redis and VictoriaMetrics where that is possible; say what is left out where it is not.
set -u
# Debian names each package after its program.
programs="prometheus victoria-metrics redis-server \
prometheus-node-exporter prometheus-process-exporter prometheus-blackbox-exporter prometheus-redis-exporter"
missing=""
for program in $programs; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing Debian packages:$missing"
    # A service of the host must not start because a test needs its binary.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null 2>&1 || echo "apt-get update failed; trying with the lists at hand"
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || echo "apt-get could not install:$missing"
fi
for program in $programs; do
    command -v "$program" >/dev/null 2>&1 && continue
    if [ "${CI:-}" = true ]; then
        echo "error: $program is missing, and in CI the tests against it must run" >&2
        exit 1
    fi
    echo "note: $program is not installed (that takes Debian and root: apt-get install $program)"
    echo "      left out: the tests marked 'needs_$(echo "$program" | tr - _)'"
done
