#!/bin/sh
# Removes what install.sh installed. What the program wrote stays, unless --purge is given.
set -eu

prefix=/opt/ltt-stream
purge=no

usage() {
    cat <<END
Usage: uninstall.sh [--prefix DIR] [--purge]

  --prefix DIR  the virtual environment (default $prefix)
  --purge       also remove /var/lib/ltt-stream* (Arrow files, state) and /etc/default/ltt-stream*

DESTDIR in the environment is put before every path; systemd is then left alone.
END
}

fail() {
    echo "uninstall.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix) [ $# -ge 2 ] || fail "$1 needs a value"; prefix=$2; shift 2 ;;
        --purge) purge=yes; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

destdir=${DESTDIR:-}
venv=$destdir$prefix
units=$destdir/etc/systemd/system
[ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] || fail "run it as root, or set DESTDIR"
if [ -e "$venv" ] && [ ! -e "$venv/.ltt-stream-installed" ]; then
    fail "$venv: was not made by install.sh; remove it by hand"
fi

systemd=no
if [ -z "$destdir" ] && [ -d /run/systemd/system ]; then
    systemd=yes
    systemctl disable --now ltt-stream.socket ltt-stream.service || true
    systemctl disable --now 'ltt-stream@*.service' || true
fi
rm -f "$units/ltt-stream.service" "$units/ltt-stream.socket" "$units/ltt-stream@.service" \
    "$destdir/etc/sysctl.d/60-ltt-stream.conf"
rm -rf "$venv"
[ $systemd = no ] || systemctl daemon-reload

if [ $purge = yes ]; then
    rm -f "$destdir/etc/default/ltt-stream" "$destdir"/etc/default/ltt-stream-*
    # With DynamicUser the data are in private/ and a link leads to them.
    for data in "$destdir"/var/lib/ltt-stream "$destdir"/var/lib/ltt-stream-* \
        "$destdir"/var/lib/private/ltt-stream "$destdir"/var/lib/private/ltt-stream-*; do
        rm -rf "$data"
    done
    echo "Removed, with its data."
else
    echo "Removed. What it wrote is still in $destdir/var/lib/ltt-stream; --purge removes that too."
fi
