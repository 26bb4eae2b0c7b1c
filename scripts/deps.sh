#!/bin/sh
# deps.sh build|lab|test|bench|fuzz…: installs what these purposes need and this machine lacks.
#
# On Debian, Ubuntu and similar distributions it uses apt-get, through sudo unless run by root. Elsewhere it
# prints the packages' names. Only the build's packages are indispensable; without the others, their part is
# skipped later.
set -eu

# The purpose; the command, or the library for the linker, that must be found; and the package that contains it
# on Debian, Fedora and Arch. A dash: no package does.
needs='
build cc          gcc           gcc                 gcc
build pkg-config  pkg-config    pkgconf-pkg-config  pkgconf
build libc.a      libc6-dev     glibc-static        glibc
build libpcap.a   libpcap-dev   -                   -
lab   ip          iproute2      iproute             iproute2
lab   unshare     util-linux    util-linux          util-linux
lab   netstat     net-tools     net-tools           net-tools
lab   ping        iputils-ping  iputils             iputils
lab   ps          procps        procps-ng           procps-ng
lab   tcpdump     tcpdump       tcpdump             tcpdump
test  ethtool     ethtool       ethtool             ethtool
test  newuidmap   uidmap        shadow-utils        shadow
test  ncat        ncat          nmap-ncat           nmap
test  python3     python3       python3             python
test  socat       socat         socat               socat
test  tshark      tshark        wireshark-cli       wireshark-cli
bench brctl       bridge-utils  bridge-utils        bridge-utils
bench mn          mininet       -                   -
bench socat       socat         socat               socat
bench tshark      tshark        wireshark-cli       wireshark-cli
fuzz  c++         g++           gcc-c++             gcc
'
# Makes the base of the hosts' image from Debian's packages if no registry can be reached.
if command -v docker >/dev/null; then
    needs="$needs
lab   mmdebstrap  mmdebstrap    mmdebstrap          -"
fi

found() {
    case $1 in
    # The linker's own answer: a path if it finds the library, otherwise the bare name.
    *.a) [ "$(cc ${LIBPCAP_LIBDIR:+"-B$LIBPCAP_LIBDIR/"} -print-file-name="$1" 2>/dev/null || echo "$1")" != "$1" ] ;;
    *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
    esac
}

# Prints the lines of `needs` for the named purposes that this machine lacks.
missing() {
    echo "$needs" | while read -r purpose thing packages; do
        case " $* " in *" ${purpose:--} "*) found "$thing" || echo "$purpose $thing $packages" ;; esac
    done
}

# Prints the packages in a column of `missing`, each once.
packages() { echo "$lacking" | awk -v column="$1" '$column != "-" { print $column }' | sort -u | paste -sd ' ' -; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

lacking=$(missing "$@")
[ -n "$lacking" ] || exit 0

if command -v apt-get >/dev/null; then
    debian=$(packages 3)
    echo "Installing: $debian"
    # A third party's broken package source makes update fail, although Debian's own may be fine.
    as_root apt-get -q update || echo "apt-get update had errors; continuing"
    # shellcheck disable=SC2086 # one word per package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends $debian || true
else
    cat <<END
This machine lacks: $(echo "$lacking" | awk '{ print $2 }' | paste -sd ' ' -)
  Fedora, RHEL:  sudo dnf install $(packages 4)
  Arch, Manjaro: sudo pacman -S $(packages 5)
END
fi

lacking=$(missing "$@")
case $lacking in
*libpcap.a*)
    echo "libpcap.a is missing, and few distributions package it: build libpcap with"
    echo "./configure --disable-dbus, and set LIBPCAP_LIBDIR to its folder" ;;
esac
# Only the build cannot continue without its packages.
case $lacking in *"build "*) exit 1 ;; esac
