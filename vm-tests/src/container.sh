# Boots the systemd of a tree in namespaces of its own: sh container.sh ROOT. No virtual machine: the host's kernel, whose
# settings can only be read, but for those of the network; the unified hierarchy alone, whatever the host has.
root=$1
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
# Each is a boot of its own, though the kernel is still the same.
cat /proc/sys/kernel/random/uuid > "$root/run/boot_id"
mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"
# Nodes of its own: systemd sets owner and mode of its console, which must not be those of the host's.
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
mknod -m 600 "$root/dev/console" c 1 3
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
ip link add vmbr0 type bridge
ip address add 10.0.20.10/24 dev vmbr0
ip link set vmbr0 up
ip route add default via 10.0.20.1
exec env -i container=vm-tests PATH=/usr/sbin:/usr/bin chroot "$root" /lib/systemd/systemd --log-target=journal
