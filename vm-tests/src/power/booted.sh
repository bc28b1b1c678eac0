# Makes a mounted tree look like a booted node, and runs a line in it: sh booted.sh ROOT LINE.
# The kernel's settings are the host's: only those of the network, which are not, can be written.
root=$1
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
# Maintainer scripts ask systemctl where this directory is.
mkdir -p "$root/run/lock" "$root/run/sshd" "$root/run/systemd/system" "$root/run/units" "$root/run/real"
cp "$root/usr/bin/systemctl" "$root/run/real/systemctl"
cat > "$root/run/systemctl" << 'END'
#!/bin/sh
# systemctl of a node that runs nothing: it remembers what was started; the real one answers the rest.
verb= units=
for word; do
    case $word in
        -*) ;;
        *.*) units="$units $word" ;;
        *) if [ "$verb" ]; then units="$units $word.service"; else verb=$word; fi ;;
    esac
done
case $verb in
    is-active)
        status=3
        for unit in $units; do
            if [ -e "/run/units/$unit" ]; then echo active; status=0; else echo inactive; fi
        done
        exit $status ;;
    start | restart | reload-or-restart)
        for unit in $units; do
            if [ -e "/run/refuse-$unit" ]; then echo "$unit is refused by this test" >&2; exit 1; fi
            : > "/run/units/$unit"
        done ;;
    stop) for unit in $units; do rm -f "/run/units/$unit"; done ;;
    reload | try-restart)
        case $units in *ssh.service*) kill -HUP "$(cat /run/sshd.pid)" ;; esac ;;
    daemon-reload | reset-failed) ;;
    *) exec /run/real/systemctl "$@" ;;
esac
END
chmod 755 "$root/run/systemctl"
mount --bind "$root/run/systemctl" "$root/usr/bin/systemctl"
for unit in ssh.service apparmor.service cron.service apt-daily.timer apt-daily-upgrade.timer; do
    : > "$root/run/units/$unit"
done
ip link set lo up
ip link add vmbr0 type bridge
ip address add 10.0.20.10/24 dev vmbr0
ip link set vmbr0 up
ip route add default via 10.0.20.1
hostname pve1
# New connections prove that the admin gets in, so somebody has to listen.
chroot "$root" /usr/sbin/sshd
# Process 1 stays outside: the real systemctl looks at it to see that it is in a chroot.
chroot "$root" sh -c "$2"
