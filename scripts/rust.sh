#!/bin/sh
# Says how to get Rust if it is missing or too old, and nothing otherwise.
set -eu
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
have=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || true
[ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ] && exit 0
cat >&2 <<END
netlab needs Rust $wanted or newer; this machine has ${have:-none}.
  with rustup:        rustup update stable
  without, anywhere:  https://rustup.rs
  Debian 13, Ubuntu:  sudo apt-get install rustup && rustup default stable
END
exit 1
