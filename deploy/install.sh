#!/bin/sh
# Installs ltt-stream into a virtual environment, with its systemd units. Running it again upgrades.
set -eu
umask 022

prefix=/opt/ltt-stream
python=python3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=$(dirname -- "$here")

usage() {
    cat <<END
Usage: install.sh [--prefix DIR] [--python PYTHON] [SOURCE]

  SOURCE           a wheel or a checkout; default: the checkout that this script is in
  --prefix DIR     the virtual environment (default $prefix)
  --python PYTHON  the interpreter to build it with, 3.11 or newer (default $python)

DESTDIR in the environment is put before every path; systemd is then left alone.
pip's own settings (PIP_CONSTRAINT, PIP_INDEX_URL, pip.conf) hold: on a machine without a GPU point
them at CPU builds of torch, which are much smaller.
END
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --python) [ $# -ge 2 ] || fail "$1 needs a value" ;;
    esac
    case $1 in
        --prefix) prefix=$2; shift 2 ;;
        --python) python=$2; shift 2 ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) source=$1; shift ;;
    esac
done

destdir=${DESTDIR:-}
venv=$destdir$prefix
units=$destdir/etc/systemd/system
marker=$venv/.ltt-stream-installed

case $prefix in
    *[!A-Za-z0-9/._-]*) fail "--prefix $prefix: use letters, digits and / . _ - only" ;;
    /*[!/]*) ;;
    *) fail "--prefix $prefix: give an absolute path" ;;
esac
[ -e "$source" ] || fail "$source: no such wheel or checkout"
[ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] || fail "run it as root, or set DESTDIR"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python: Python 3.11 or newer is needed; name one with --python"
if [ -e "$venv" ] && [ ! -e "$marker" ]; then
    [ -z "$(ls -A "$venv")" ] || fail "$venv: is there and was not made by this script"
fi

case $prefix:$("$python" -c 'import sys; print(sys.base_prefix)') in
    /home/* | /root/* | *:/home/* | *:/root/*)
        echo "Beware: $python or $prefix is in a home directory, which the units hide (ProtectHome)." ;;
esac

echo "Installing $source into $venv"
again=yes
if [ ! -x "$venv/bin/python" ]; then
    again=no
    mkdir -p "$venv"
    : >"$marker"
    "$python" -m venv "$venv"
fi
set -- "$source"
[ ! -e "$here/../constraints.txt" ] || set -- --constraint "$here/../constraints.txt" "$@"
"$venv/bin/python" -m pip install --quiet "$@"
# The same version from a changed source: pip would keep what it has.
[ $again = no ] || "$venv/bin/python" -m pip install --quiet --force-reinstall --no-deps "$@"

install -d "$units" "$destdir/etc/sysctl.d"
for unit in ltt-stream.service ltt-stream.socket ltt-stream@.service; do
    sed "s#/opt/ltt-stream/#$prefix/#g" "$here/systemd/$unit" >"$units/$unit"
    chmod 0644 "$units/$unit"
done
install -m 0644 "$here/sysctl/60-ltt-stream.conf" "$destdir/etc/sysctl.d/"

if [ -n "$destdir" ]; then
    echo "DESTDIR is set: systemd and sysctl are left alone."
    exit 0
fi
sysctl --quiet --load /etc/sysctl.d/60-ltt-stream.conf ||
    echo "net.core.rmem_max could not be set now; it will be at the next boot."
if [ ! -d /run/systemd/system ]; then
    echo "systemd does not run here: start it with $prefix/bin/ltt-stream run --listen udp://0.0.0.0:514"
    exit 0
fi
systemctl daemon-reload
systemctl enable --now ltt-stream.socket ltt-stream.service
systemctl try-restart ltt-stream.service 'ltt-stream@*.service'
echo "Listening on UDP port 514; metrics: http://127.0.0.1:9514/metrics; files: /var/lib/ltt-stream/out"
