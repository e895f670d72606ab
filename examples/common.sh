# What the walk-throughs share; each begins with `source`-ing this. Runs in simulation, in a folder of its own, on free ports of
# the loopback interface, and ends what it starts.
# shellcheck shell=bash
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CARRARA_BIN_DIR:-$root/target/debug}
folder=$(mktemp -d)
coordinator=
trap 'test -z "$coordinator" || kill "$coordinator" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

# Not the machine's own settings, nor its trust.
for name in $(env | sed -n 's/^\(EDG_[A-Z_]*\|OE_SIMULATION\)=.*/\1/p'); do unset "$name"; done
export XDG_CONFIG_HOME=$folder/config

# What was said, without the ends of long lines.
show() { printf '%s\n' "$said" | sed 's/^/      /; s/^\(.\{130\}\).*/\1.../'; }

step() { printf '\n* %s\n' "$1"; }

# Shows a command and what it says; the text is in $said, too. Its exit code must be the first argument.
expect() {
    local wanted=$1 program=$2 code=0
    shift 2
    printf '    $ %s\n' "$program $*"
    said=$("$bin/$program" "$@" 2>&1 </dev/null) || code=$?
    show
    [ "$code" = "$wanted" ] || { echo "it ended with $code and not with $wanted" >&2; exit 1; }
}
ok() { expect 0 "$@"; }
refused() { expect 1 "$@"; }

# What was said must contain this.
contains() { [[ $said == *"$1"* ]] || { echo "it did not say: $1" >&2; exit 1; }; }

as() { echo "--cert $1.crt --key $1.key"; }

# Makes keys for users and puts their certificates in a manifest's text, $manifest.
users() {
    local user pem
    for user in "$@"; do
        ok carrara keygen user "$user"
        pem=$(sed 's/$/\\n/' "$user.crt" | tr -d '\n')
        manifest=${manifest//"@$user.crt@"/"$pem"}
    done
}

# Builds the programs if they are not there, and goes to the folder.
begin() {
    if ! [ -x "$bin/carrara" ] || ! [ -x "$bin/carrara-coordinator" ] || ! [ -x "$bin/carrara-premain" ]; then
        echo "building (the first time takes some minutes) ..."
        (unset CARGO_TARGET_DIR; cd "$root" && cargo xtask guests && cargo build --workspace --bins --features carrara-coordinator/failpoints)
    fi
    cd "$folder"
}

# Starts a coordinator; sets $rest and $mesh.
start_coordinator() {
    "$bin/carrara-coordinator" --simulation --seal-dir data --addresses-file addresses.json \
        --client-addr 127.0.0.1:0 --mesh-addr 127.0.0.1:0 2>coordinator.log &
    coordinator=$!
    for _ in $(seq 1200); do
        [ -s addresses.json ] && break
        kill -0 "$coordinator" 2>/dev/null || break
        sleep 0.05
    done
    [ -s addresses.json ] || { cat coordinator.log >&2; exit 1; }
    rest=$(sed -n 's/.*"rest": *"\([^"]*\)".*/\1/p' addresses.json)
    # For walk-throughs that start Marbles.
    # shellcheck disable=SC2034
    mesh=$(sed -n 's/.*"mesh": *"\([^"]*\)".*/\1/p' addresses.json)
}

# The digest of a file, as manifests name components.
digest() { sha256sum "$1" | sed 's/^\([0-9a-f]*\).*/sha256:\1/'; }

# Policies are built with the versions of this repository, and what they need of the registry compiles once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/policy-tool}
pin() { cp "$root/Cargo.lock" "$1/Cargo.lock"; }
