#!/bin/bash
# debian-source.sh PACKAGE DIR: fetches the original source archive of a Debian package and unpacks it into DIR, from where
# this machine gets its binary packages. The machine's own configuration and lists stay as they are.
set -euo pipefail
package=$1 dir=$2
[ -e "$dir/.complete" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/sources" "$work/lists/partial" "$work/cache" "$work/download"
for entry in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -r "$entry" ] || continue
    sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$entry" >"$work/sources/$(basename "$entry" .list).list"
done
for entry in /etc/apt/sources.list.d/*.sources; do
    [ -r "$entry" ] || continue
    sed 's/^Types:.*/Types: deb-src/' "$entry" >"$work/sources/$(basename "$entry")"
done
cat >"$work/apt.conf" <<CONF
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/sources";
APT::Sandbox::User "root";
Acquire::Retries "3";
CONF
export APT_CONFIG=$work/apt.conf
apt-get -qq update
cd "$work/download"
apt-get -qq source --download-only "$package"
mkdir -p "$dir"
tar --extract --file "$(ls ./*.orig.tar.*[a-z0-9] | grep -v '\.asc$' | head -n 1)" --directory "$dir" --strip-components 1
touch "$dir/.complete"
