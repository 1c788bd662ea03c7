# This script runs as root in new namespaces. It builds a small root folder from this system and the given folders, and
# enters it. All mounts disappear when the process exits.
set -eu
root=$1 node=$2 hosts=$3 code=$4 sockets=$5 application=$6 modules=$7 working_folder=$8 writable=$9 shared=${10} plan=${11}

ip link set lo up
mount -t tmpfs tmpfs "$root"
for name in usr etc bin sbin lib lib64; do
  if [ -L "/$name" ]; then cp -P "/$name" "$root/$name"; continue; fi
  [ -d "/$name" ] || continue
  mkdir "$root/$name"
  mount --bind "/$name" "$root/$name"
done
mkdir "$root/proc" "$root/dev" "$root/tmp" "$root/run"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
chmod 1777 "$root/tmp"
mount -t tmpfs tmpfs "$root/usr/local"
mkdir -p "$root/usr/local/bin" "$root/run/code" "$root/run/sockets" "$root$working_folder"
touch "$root/usr/local/bin/node"
mount --bind "$node" "$root/usr/local/bin/node"
mount --bind "$hosts" "$root/etc/hosts"
mount --bind "$code" "$root/run/code"
mount --bind "$sockets" "$root/run/sockets"
mount --bind "$application" "$root$working_folder"
mount --bind "$modules" "$root$working_folder/node_modules"
for name in "$working_folder" "$working_folder/node_modules"; do mount -o remount,ro,bind "$root$name"; done
if [ -n "$writable" ]; then
  mkdir -p "$root$writable"
  if [ -n "$shared" ]; then mount --bind "$shared" "$root$writable"; fi
  chown -R 1000:1000 "$root$writable"
fi
exec chroot "$root" /usr/local/bin/node --disable-warning=MODULE_TYPELESS_PACKAGE_JSON /run/code/inside.ts "$plan"
