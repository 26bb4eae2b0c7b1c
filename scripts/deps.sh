#!/bin/sh
# deps.sh build|lab|test|bench|fuzz…: installs what those need and this machine lacks.
#
# On Debian, Ubuntu and their kin with apt-get, through sudo where not root. Elsewhere it names the
# packages. Only what the build needs is indispensable; without the rest, that part is skipped later.
set -eu

# What for; what is looked for, a command or a library the linker must find; and the package that
# has it on Debian, Fedora and Arch. A dash: none has it.
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
# Where no registry can be reached, the hosts' image is made from Debian's packages with this.
if command -v docker >/dev/null; then
    needs="$needs
lab   mmdebstrap  mmdebstrap    mmdebstrap          -"
fi

found() {
    case $1 in
    # The linker's own answer: a path where it has the library, else the bare name.
    *.a) [ "$(cc ${LIBPCAP_LIBDIR:+"-B$LIBPCAP_LIBDIR/"} -print-file-name="$1" 2>/dev/null || echo "$1")" != "$1" ] ;;
    *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
    esac
}

# The lines of `needs` for the purposes named that this machine lacks.
missing() {
    echo "$needs" | while read -r purpose thing packages; do
        case " $* " in *" ${purpose:--} "*) found "$thing" || echo "$purpose $thing $packages" ;; esac
    done
}

# The packages in that column of `missing`, each once.
packages() { echo "$lacking" | awk -v column="$1" '$column != "-" { print $column }' | sort -u | paste -sd ' ' -; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

lacking=$(missing "$@")
[ -n "$lacking" ] || exit 0

if command -v apt-get >/dev/null; then
    debian=$(packages 3)
    echo "Installing: $debian"
    # A third party's source that is broken makes update fail, and Debian's own may be fine.
    as_root apt-get -q update || echo "apt-get update had errors; going on"
    # shellcheck disable=SC2086 # one word a package
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
    echo "libpcap.a is missing, which few distributions have a package of: build libpcap with"
    echo "./configure --disable-dbus, and name the folder it is in with LIBPCAP_LIBDIR" ;;
esac
# Only the build cannot go on without.
case $lacking in *"build "*) exit 1 ;; esac
