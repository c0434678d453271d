#!/bin/sh
# Runs dockerd as the only service of this container; it listens on the socket
# that SOCKET names. Arguments go to dockerd.
set -eu

# With cgroup v2 the controllers are handed on to containers only when no process
# is left in the root group.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p /sys/fs/cgroup/init
  xargs -rn1 < /sys/fs/cgroup/cgroup.procs > /sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true
  sed 's/^/+/; s/ / +/g' < /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
fi
rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
exec dockerd --host unix:///var/run/docker.sock --host "unix://$SOCKET" "$@"
