# What systemd-sysctl does at a boot of this node. The kernel is the host's and keeps its own settings, so that these
# lie over them; those of the network belong to the node.
mkdir /run/sysctl
/usr/lib/systemd/systemd-sysctl --cat-config |
    sed -n 's/^-\{0,1\}\([a-z0-9_.]*\) *= *\([^ ]*\) *$/\1 \2/p' |
    while read -r name value; do
        setting=/proc/sys/$(echo "$name" | tr . /)
        case $name in net.*) continue ;; esac
        [ -e "$setting" ] || continue
        file=/run/sysctl/$name
        if [ ! -e "$file" ]; then
            : > "$file"
            mount --bind "$file" "$setting" || exit
        fi
        echo "$value" > "$file"
    done
