#!/bin/sh
# Installs the packages of apt-packages.txt whose commands are missing, where that disturbs nothing:
# as root, with apt-get, on a machine that runs no services (a container, CI). On others it says
# what is missing: syslog-ng-core replaces rsyslog there, and prometheus would be started.
#   deploy/system-tools.sh        install, or say why not; always exits 0 where it may not install
#   APT=yes deploy/system-tools.sh        install even where systemd runs
set -eu

list=$(dirname "$0")/apt-packages.txt
packages=
while read -r package commands; do
    case $package in '' | '#'*) continue ;; esac
    for command in $commands; do
        if ! command -v "$command" >/dev/null; then
            packages="$packages $package"
            break
        fi
    done
done <"$list"
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    why="not root, or no apt-get here"
elif [ -d /run/systemd/system ] && [ -z "${CI:-}" ] && [ "${APT:-}" != yes ]; then
    why="this machine runs services"
else
    why=
fi
if [ -n "$why" ]; then
    echo "system tools not installed ($why); tests that need them are skipped:$packages" >&2
    exit 0
fi

# Debian asks this file before it starts a service of a package (invoke-rc.d, policy-rc.d).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing:$packages" >&2
apt-get -qq -o DPkg::Lock::Timeout=300 update
# shellcheck disable=SC2086  # a list of package names, split on purpose
apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends $packages >/dev/null
