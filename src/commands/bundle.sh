# What `firstlight bundle` holds: each command, and what it says. $1 is the program. Nothing here prints a secret, and
# src/commands/bundle.rs takes out whatever looks like one all the same.
say() {
    printf '\n===== %s\n' "$*"
    "$@" 2>&1
}
say "$1" --version
say uname -a
say cat /etc/os-release
say pveversion
say "$1" status
say "$1" snapshots list
say "$1" audit
say "$1" plan
say cat /var/lib/firstlight/profile.toml
say tail -n 999 /var/lib/firstlight/tx/*/journal
say journalctl --no-pager -n 1999 -u 'firstlight*' -u 'proxmox-first-boot*'
say systemctl --no-pager --failed
say df
say ip address
say ip route
say ss -tulpn
say sshd -T
say ufw status verbose
say pve-firewall status
say iptables-save
say ip6tables-save
say fail2ban-client status
