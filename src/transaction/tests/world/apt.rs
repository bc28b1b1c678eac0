//! apt's sources and configuration, as `apt-get indextargets` and `apt-config dump` read them from their files.

use super::ok;
use crate::node::Output;
use crate::node::memory::Shell;

const SOURCES: &str = "/etc/apt/sources.list.d";
const CONFIG: &str = "/etc/apt/apt.conf.d";

/// As PVE 9's installer leaves them, without a subscription.
pub fn furnish(shell: &mut Shell<'_>) {
    for (file, repository, component) in
        [("pve-enterprise", "pve", "pve-enterprise"), ("ceph", "ceph-squid", "enterprise")]
    {
        let text = format!(
            "Types: deb\nURIs: https://enterprise.proxmox.com/debian/{repository}\nSuites: trixie\n\
             Components: {component}\nSigned-By: /usr/share/keyrings/proxmox-archive-keyring.gpg\n"
        );
        shell.put(&format!("{SOURCES}/{file}.sources"), &text);
    }
    shell.put(&format!("{CONFIG}/70debconf"), "// debconf\n");
}

pub fn targets(shell: &Shell<'_>) -> Output {
    let mut text = String::new();
    for name in shell.names(SOURCES).iter().filter(|name| name.ends_with(".sources")) {
        for stanza in shell.text(&format!("{SOURCES}/{name}")).split("\n\n") {
            let field =
                |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            if field("Enabled: ") != "false" && !stanza.is_empty() {
                let [uri, suite, component] = ["URIs: ", "Suites: ", "Components: "].map(field);
                text.push_str(&format!("{uri}/ deb {suite} {component}\n"));
            }
        }
    }
    ok(text)
}

pub fn dump(shell: &Shell<'_>) -> Output {
    let mut lines: Vec<String> = Vec::new();
    for name in shell.names(CONFIG) {
        for line in shell.text(&format!("{CONFIG}/{name}")).lines().filter(|line| line.contains(" \"")) {
            lines.push(format!("{line}\n"));
        }
    }
    ok(lines.concat())
}
