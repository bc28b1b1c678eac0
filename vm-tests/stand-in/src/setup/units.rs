//! The units, named, ordered and wanted as those of pve-cluster 9.1.6, pve-manager 9.2.11 and pve-firewall 6.0.4.
//!
//! Corosync, storage and whatever else they mention is not there; systemd does not mind.

/// Names and texts.
pub const UNITS: &[(&str, &str)] = &[
    ("pve-cluster.service", CLUSTER),
    ("pvedaemon.service", DAEMON),
    ("pveproxy.service", PROXY),
    ("pve-firewall.service", FIREWALL),
];

const CLUSTER: &str = "\
[Unit]
Description=Stand-in for PVE's cluster file system
ConditionFileIsExecutable=/usr/bin/pmxcfs
Before=corosync.service cron.service shutdown.target
After=network.target sys-fs-fuse-connections.mount time-sync.target
DefaultDependencies=no
Conflicts=shutdown.target

[Service]
Type=forking
PIDFile=/run/pve-cluster.pid
ExecStart=/usr/bin/pmxcfs
KillMode=mixed
Restart=on-failure
TimeoutStopSec=10

[Install]
WantedBy=multi-user.target
";

const DAEMON: &str = "\
[Unit]
Description=Stand-in for PVE's API daemon
ConditionPathExists=/usr/bin/pvedaemon
Wants=pve-cluster.service
After=corosync.service pve-cluster.service

[Service]
Type=notify
ExecStart=/usr/bin/pvedaemon start
Restart=on-failure

[Install]
WantedBy=multi-user.target
";

const PROXY: &str = "\
[Unit]
Description=Stand-in for PVE's API proxy
ConditionPathExists=/usr/bin/pveproxy
Wants=pve-cluster.service pvedaemon.service ssh.service
After=pve-cluster.service pvedaemon.service ssh.service

[Service]
Type=notify
User=www-data
LogsDirectory=pveproxy
ExecStartPre=-+/usr/bin/pvecm updatecerts --silent
ExecStart=/usr/bin/pveproxy start
Restart=on-failure

[Install]
WantedBy=multi-user.target
";

const FIREWALL: &str = "\
[Unit]
Description=Stand-in for PVE's firewall
ConditionPathExists=/usr/sbin/pve-firewall
Wants=pve-cluster.service
After=pve-cluster.service network.target systemd-modules-load.service
DefaultDependencies=no
Before=shutdown.target
Conflicts=shutdown.target

[Service]
Type=forking
PIDFile=/run/pve-firewall.pid
ExecStartPre=-/usr/bin/update-alternatives --set ebtables /usr/sbin/ebtables-legacy
ExecStartPre=-/usr/bin/update-alternatives --set iptables /usr/sbin/iptables-legacy
ExecStartPre=-/usr/bin/update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy
ExecStart=/usr/sbin/pve-firewall start
ExecStop=/usr/sbin/pve-firewall stop
ExecReload=/usr/sbin/pve-firewall restart

[Install]
WantedBy=multi-user.target
";
