#!/bin/bash
# host.sh NAME ADDRESS HOME FOLDER [VISIBLE...]: the first process of one host; runs in namespaces of its own. See world.py.
set -eu
NAME=$1 ADDRESS=$2 OWN_HOME=$3 FOLDER=$4
shift 4

until ip link show eth0 > /dev/null 2>&1; do sleep 0.02; done
ip addr add "$ADDRESS/24" dev eth0
ip link set eth0 up
ip link set lo up

# A root of its own: this machine's below, and a folder in memory above, for what is written.
mount --make-rprivate /
OWN=$FOLDER/$NAME.root
mkdir -p "$OWN"
mount -t tmpfs -o size=4g tmpfs "$OWN"
mkdir "$OWN/upper" "$OWN/work" "$OWN/root"
ROOT=$OWN/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$OWN/upper,workdir=$OWN/work" "$ROOT"
for path in "$@"; do
  mkdir -p "$ROOT$path"
  mount --bind "$path" "$ROOT$path"
done
mount -t proc proc "$ROOT/proc"
mount -t sysfs sysfs "$ROOT/sys"
mount -t tmpfs tmpfs "$ROOT/dev"
for device in null zero random urandom tty full; do cp -a "/dev/$device" "$ROOT/dev/"; done
ln -s /proc/self/fd "$ROOT/dev/fd"
mkdir "$ROOT/dev/pts" "$ROOT/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$ROOT/dev/pts"
ln -s pts/ptmx "$ROOT/dev/ptmx"
mount -t tmpfs -o size=2g tmpfs "$ROOT/dev/shm"
mount -t tmpfs tmpfs "$ROOT/run"
mkdir -p "$ROOT/run/sshd" "$ROOT/shared"
mount --bind "$FOLDER/shared" "$ROOT/shared"

# A machine that is new: an empty home with Debian's start files, no Ray, its name known to itself alone. Not /root, where this
# machine's Python may lie.
hostname "$NAME"
printf '127.0.0.1 localhost\n%s %s\n' "$ADDRESS" "$NAME" > "$ROOT/etc/hosts"
sed -i "s,^\(root:.*\):[^:]*:\([^:]*\)$,\1:$OWN_HOME:\2," "$ROOT/etc/passwd"
rm -rf "${ROOT:?}$OWN_HOME"
mkdir -p "$ROOT/tmp/ray"
mount -t tmpfs tmpfs "$ROOT/tmp/ray"  # not removed: what runs on this machine meanwhile may write there
mkdir -p "$ROOT$OWN_HOME"
mkdir -m 700 "$ROOT$OWN_HOME/.ssh"
cp /etc/skel/.bashrc /etc/skel/.profile "$ROOT$OWN_HOME/"
if [ "$NAME" = laptop ]; then
  cp "$FOLDER/id" "$ROOT$OWN_HOME/.ssh/id_ed25519"
  exec chroot "$ROOT" /usr/bin/sleep infinity
fi
cp "$FOLDER/id.pub" "$ROOT$OWN_HOME/.ssh/authorized_keys"
chroot "$ROOT" ssh-keygen -A > /dev/null
exec chroot "$ROOT" /usr/sbin/sshd -D -e -o "ListenAddress=$ADDRESS" -o UsePAM=no -o PermitRootLogin=prohibit-password -o PidFile=/run/sshd.pid
