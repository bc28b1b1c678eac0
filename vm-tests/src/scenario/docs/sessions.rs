//! The commands that are typed on a node, in the order in which a reader meets them.

/// Where a session is typed; each begins with a node that no other one has touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing of firstlight has run; its files lie in `/root/vm-tests`.
    Fresh,
    /// A node with UFW after its first boot.
    Committed,
    /// A node of PVE after its first boot.
    Pve,
}

/// Commands that belong together.
pub struct Session {
    pub place: Place,
    /// Where they stand, relative to the project.
    pub files: &'static [&'static str],
    /// As they stand there, without comments.
    pub lines: &'static [&'static str],
    /// What the reader puts in the place of which words.
    pub words: &'static [(&'static str, &'static str)],
    /// What has happened before; it must succeed.
    pub before: &'static str,
    /// What must be true afterwards.
    pub after: &'static str,
}

const HASH: (&str, &str) = (
    "HASH",
    "$(firstlight plan answer.toml --json | sed -n 's/.*\"plan\": *\"\\([0-9a-f]*\\)\".*/\\1/p' | head -n 1)",
);
const OBJECT: (&str, &str) = (
    "2cf24dba…",
    "$(awk '$7 == \"/etc/ssh/sshd_config\" { print $9 }' /var/lib/firstlight/tx/0001/snapshot)",
);
/// On a node with UFW.
pub const SESSIONS: &[Session] = &[
    Session {
        place: Place::Fresh,
        files: &["README.md"],
        lines: &["firstlight check answer.toml"],
        words: &[("firstlight", "vm-tests/firstlight")],
        before: "true",
        after: "test ! -e /var/lib/firstlight",
    },
    Session {
        place: Place::Committed,
        files: &["README.md", "docs/operations.md"],
        lines: &["firstlight plan answer.toml", "firstlight apply answer.toml --plan HASH"],
        words: &[HASH],
        before: "! strict",
        after: "strict",
    },
    Session {
        place: Place::Committed,
        files: &["README.md", "docs/operations.md", "docs/recovery.md"],
        lines: &["firstlight rollback --dry-run", "firstlight rollback"],
        words: &[],
        before: "hardened",
        after: "old",
    },
    Session {
        place: Place::Committed,
        files: &["README.md", "docs/recovery.md"],
        lines: &["firstlight snapshots diff 0001"],
        words: &[("diff 0001", "diff 0001 > differs")],
        before: "hardened",
        after: "grep -q /etc/sudoers.d/firstlight differs",
    },
    Session {
        place: Place::Committed,
        files: &["docs/operations.md"],
        lines: &["firstlight status", "firstlight audit", "systemctl list-timers firstlight-audit.timer"],
        words: &[],
        before: "hardened",
        after: "systemctl list-timers firstlight-audit.timer | grep -q '^1 timers listed'",
    },
    Session {
        place: Place::Committed,
        files: &["docs/operations.md"],
        lines: &["firstlight confirm"],
        words: &[],
        before: "waiting",
        after: "committed",
    },
    Session {
        place: Place::Committed,
        files: &["docs/operations.md"],
        lines: &["firstlight rollback"],
        words: &[],
        before: "waiting",
        after: "! strict",
    },
    Session {
        place: Place::Committed,
        files: &["README.md", "docs/operations.md", "docs/recovery.md"],
        lines: &["firstlight snapshots list"],
        words: &[("list", "list > listed")],
        before: "hardened",
        after: "grep -q 0001 listed",
    },
    Session {
        place: Place::Committed,
        files: &["docs/operations.md", "docs/undo.md"],
        lines: &["firstlight rollback --to 0003"],
        words: &[("0003", "0001")],
        before: "applied",
        after: "! strict && hardened",
    },
    Session {
        place: Place::Fresh,
        files: &["docs/operations.md"],
        lines: &["./firstlight install"],
        words: &[("./", "cd /root/vm-tests && ./")],
        before: "test ! -e /usr/local/sbin/firstlight",
        after: "firstlight --version && systemctl is-enabled firstlight-recover-early.service",
    },
    Session {
        place: Place::Committed,
        files: &["docs/operations.md"],
        lines: &["firstlight bundle help.txt"],
        words: &[],
        before: "hardened",
        after: "grep -q sshd help.txt && ! grep -q '\\$y\\$' help.txt",
    },
    Session {
        place: Place::Committed,
        files: &["docs/operations.md"],
        lines: &["firstlight uninstall"],
        words: &[],
        before: "hardened",
        after: "test ! -e /usr/local/sbin/firstlight && test ! -e /etc/systemd/system/firstlight-recover.service && \
                test -e /etc/sudoers.d/firstlight",
    },
    Session {
        place: Place::Committed,
        files: &["docs/audit.md"],
        lines: &["firstlight audit [ANSWER] [--json | --junit | --record]"],
        words: &[(
            "firstlight audit [ANSWER] [--json | --junit | --record]",
            "firstlight audit; fine || exit 1; firstlight audit answer.toml --json > json; [ $? = 3 ] || exit 1; \
             firstlight audit --junit > junit; fine || exit 1; firstlight audit --record",
        )],
        before: "rm -f /var/lib/firstlight/audit.json",
        after: "grep -q '\"score\"' json && grep -q '<testsuite' junit && test -s /var/lib/firstlight/audit.json",
    },
    Session {
        place: Place::Fresh,
        files: &["docs/packages.md"],
        lines: &[
            "mkdir -p /srv/debs/partial",
            "apt-get install --download-only --no-install-recommends -o Dir::Cache::archives=/srv/debs sudo ufw …",
        ],
        words: &[("…", "fail2ban --yes")],
        // Of a source in the file system apt keeps no copies.
        before: "sed -i s=file:/srv=copy:/srv= /etc/apt/sources.list.d/debian.sources && apt-get update",
        after: "ls /srv/debs/sudo_*.deb /srv/debs/ufw_*.deb /srv/debs/fail2ban_*.deb",
    },
    Session {
        place: Place::Committed,
        files: &["docs/undo.md"],
        lines: &["firstlight rollback 0003"],
        words: &[("0003", "0001")],
        before: "applied",
        after: "old",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &["firstlight status", "firstlight recover"],
        words: &[],
        before: "hardened",
        after: "hardened",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &[
            "ufw disable",
            "mv /etc/ssh/sshd_config.d/00-firstlight.conf /root/",
            "sshd -t && systemctl restart ssh",
            "mv /etc/sudoers.d/firstlight /root/ && visudo -c",
            "dpkg --configure -a && apt-get -f install",
            "ip -4 rule flush table 26220; ip link delete firstlight0",
            "ip netns delete firstlight",
        ],
        words: &[],
        before: "ip -4 rule add from 192.0.2.1 table 26220 && ip netns add firstlight && \
                 ip link add firstlight0 type veth peer name firstlight1",
        after: "ufw status | grep -q inactive && ! ip -4 rule | grep -q 26220 && sshd -T | grep -q '^x11forwarding yes'",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &["firstlight snapshots show 0001 /etc/ssh/sshd_config > /etc/ssh/sshd_config"],
        words: &[],
        before: "cp /etc/ssh/sshd_config kept && echo '# spoilt' >> /etc/ssh/sshd_config",
        after: "cmp kept /etc/ssh/sshd_config",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &[
            "cd /var/lib/firstlight",
            "grep ' /etc/ssh/sshd_config ' tx/0001/snapshot",
            "sha256sum objects/2cf24dba…",
            "install -o 0 -g 0 -m 644 objects/2cf24dba… /etc/ssh/sshd_config",
        ],
        words: &[OBJECT],
        before: "cp /etc/ssh/sshd_config kept && echo '# spoilt' >> /etc/ssh/sshd_config",
        after: "cmp /root/kept /etc/ssh/sshd_config",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &[
            "cd /var/lib/firstlight",
            "while read -r type mode owner group _ _ path _ content _; do\n  \
               [ \"$type\" = f ] || continue\n  \
               case $path in *%* | /etc/pve/*) echo \"by hand: $path\"; continue ;; esac\n  \
               cmp -s \"objects/$content\" \"$path\" && continue\n  \
               install -D -o \"$owner\" -g \"$group\" -m \"$mode\" \"objects/$content\" \"$path\"\n\
             done < tx/0001/snapshot",
            "awk '$1 != \"a\" { print $7 }' tx/0001/snapshot | sort > /tmp/before",
            "find /etc -path /etc/pve -prune -o -print | sort | comm -13 /tmp/before -",
        ],
        words: &[("comm -13 /tmp/before -", "comm -13 /tmp/before - > /root/new")],
        before: "echo '# spoilt' >> /etc/hosts && rm /etc/motd",
        after: "! grep -q spoilt /etc/hosts && test -e /etc/motd && ! grep -q ops /etc/passwd && \
                grep -q '^/etc/sudoers.d/firstlight$' /root/new && ! grep -q '^/etc/hosts$' /root/new",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &[
            "tail -n 20 /var/lib/firstlight/tx/0001/journal",
            "journalctl -u proxmox-first-boot-multi-user -u firstlight-recover-early -u firstlight-recover -u firstlight-deadline",
        ],
        words: &[],
        before: "hardened",
        after: "grep -q commit /var/lib/firstlight/tx/0001/journal && \
                journalctl -u proxmox-first-boot-multi-user | grep -q firstlight",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &[
            "rm /var/lib/proxmox-first-boot/pending-first-boot-setup",
            "systemctl stop firstlight-deadline.timer firstlight-deadline.service",
            "systemctl disable firstlight-recover-early firstlight-recover",
        ],
        words: &[],
        before: "waiting && systemctl is-active firstlight-deadline.timer && \
                 touch /var/lib/proxmox-first-boot/pending-first-boot-setup",
        after: "for unit in recover-early recover; do systemctl is-enabled firstlight-$unit.service; done | grep -c disabled | \
                grep -qx 2 && ! systemctl is-active firstlight-deadline.timer && \
                test ! -e /var/lib/proxmox-first-boot/pending-first-boot-setup",
    },
    Session {
        place: Place::Committed,
        files: &["docs/recovery.md"],
        lines: &[
            "sed -n 'LINEp' /var/lib/firstlight/tx/0001/journal | cat -v",
            "mv /var/lib/firstlight/tx/0001/journal /var/lib/firstlight/tx/0001/journal.damaged",
        ],
        words: &[("LINE", "3")],
        before: "sed -i '3s/./~/' /var/lib/firstlight/tx/0001/journal && firstlight status | grep 'line 3' && \
                 { firstlight recover; [ $? = 5 ]; }",
        after: "firstlight recover && applied",
    },
];

/// On a node of PVE.
pub const PVE: &[Session] = &[
    Session {
        place: Place::Pve,
        files: &["docs/operations.md"],
        lines: &["firstlight totp reset root@pam"],
        words: &[(
            "firstlight totp reset root@pam",
            "script -q -e -c 'firstlight totp reset root@pam' /dev/null",
        )],
        before: "sha256sum /etc/pve/priv/tfa.cfg > tfa",
        after: "! sha256sum --status -c tfa",
    },
    Session {
        place: Place::Pve,
        files: &["docs/totp.md"],
        lines: &["sudo firstlight totp show root@pam", "sudo firstlight totp reset root@pam"],
        words: &[
            (
                "sudo firstlight totp show root@pam",
                "script -q -e -c 'sudo firstlight totp show root@pam' /dev/null",
            ),
            (
                "sudo firstlight totp reset root@pam",
                "script -q -e -c 'sudo firstlight totp reset root@pam' /dev/null",
            ),
        ],
        before: "sha256sum /etc/pve/priv/tfa.cfg > tfa",
        after: "! sha256sum --status -c tfa",
    },
    Session {
        place: Place::Pve,
        files: &["docs/recovery.md"],
        lines: &[
            "pve-firewall stop",
            "pveum user tfa unlock root@pam",
            "pveum realm modify pam --delete tfa",
            "pveum user tfa delete root@pam",
        ],
        words: &[],
        before: "pve-firewall status | grep -q running && iptables-save | grep -q PVEFW-INPUT && \
                 grep -q root@pam /etc/pve/priv/tfa.cfg",
        after: "! iptables-save | grep -q PVEFW-INPUT && ! grep -q root@pam /etc/pve/priv/tfa.cfg",
    },
];
