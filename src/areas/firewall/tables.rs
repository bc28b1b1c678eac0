//! Ports of services (row D4) and what may leave when the default is to drop (row D1).

use crate::profile::Service;

/// PVE's web interface and API (pveproxy).
pub(in crate::areas) const API_PORT: u16 = 8006;

/// Ports of one protocol, in the order in which UFW sorts them.
pub(in crate::areas) struct Ports {
    pub(in crate::areas) protocol: &'static str,
    pub(in crate::areas) ports: &'static str,
}

const fn tcp(ports: &'static str) -> Ports {
    Ports { protocol: "tcp", ports }
}

const fn udp(ports: &'static str) -> Ports {
    Ports { protocol: "udp", ports }
}

/// Name for comments, and ports (pve-contract 3.8, and the macros of pve-firewall).
pub(in crate::areas) fn service(service: Service) -> (&'static str, &'static [Ports]) {
    match service {
        Service::Cluster => ("cluster", const { &[udp("5405:5412")] }),
        Service::Migration => ("migration", const { &[tcp("60000:60050")] }),
        Service::Ceph => ("ceph", const { &[tcp("3300,6789,6800:7300")] }),
        Service::Nfs => ("nfs", const { &[tcp("111,2049"), udp("111,2049")] }),
        Service::Cifs => ("cifs", const { &[tcp("445")] }),
        Service::BackupServer => ("backup-server", const { &[tcp("8007")] }),
        Service::Spice => ("spice", const { &[tcp("3128")] }),
        Service::Vnc => ("vnc", const { &[tcp("5900:5999")] }),
    }
}

/// What stays open with `outgoing = "drop"`: name, and ports in UFW's simple form.
pub(in crate::areas) const OUTGOING: [(&str, &str); 3] =
    [("DNS", "53"), ("NTP", "123/udp"), ("HTTP, HTTPS and mail submission", "80,443,587/tcp")];
