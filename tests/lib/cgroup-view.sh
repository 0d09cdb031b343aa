#!/bin/bash
# cgroup-view.sh v1|v2 COMMAND...: runs COMMAND in a private mount namespace in which /sys/fs/cgroup shows the host's v1
# hierarchies only, or its v2 hierarchy only. (Some runtimes refuse a host that has both.) Nothing changes outside.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 v1|v2 COMMAND..." >&2; exit 2; }
if [ "${SKIFF_CGROUP_VIEW:-}" != inside ]; then
    SKIFF_CGROUP_VIEW=inside exec unshare --mount --propagation private "$0" "$@"
fi
unset SKIFF_CGROUP_VIEW
view=$1
shift
top=/sys/fs/cgroup
kind=$(stat -f -c %T "$top")
if [ "$kind" = cgroup2fs ]; then
    [ "$view" = v2 ] || { echo "this host has no cgroup v1" >&2; exit 77; }
    exec "$@"
fi
old=$(mktemp -d)
mount --rbind "$top" "$old"
if [ "$view" = v2 ]; then
    [ -e "$old/unified/cgroup.procs" ] || { echo "this host has no cgroup v2" >&2; exit 77; }
    mount --bind "$old/unified" "$top"
else
    mount -t tmpfs -o mode=755 cgroup "$top"
    for hierarchy in "$old"/*; do
        name=${hierarchy##*/}
        if [ -L "$hierarchy" ]; then
            cp -P "$hierarchy" "$top/$name"
        elif [ "$(stat -f -c %T "$hierarchy")" != cgroup2fs ]; then
            mkdir "$top/$name"
            mount --bind "$hierarchy" "$top/$name"
        fi
    done
fi
umount --recursive --lazy "$old"
rmdir "$old"
exec "$@"
