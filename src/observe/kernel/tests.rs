//! Kernel settings go red when the kernel, or the next boot, decides otherwise, our file being as it was.

use super::*;
use crate::change::{Change, KernelChange};
use crate::control::Check;
use crate::node::scripted::{Files, Scripted};
use crate::node::{Node, Output};
use crate::transaction::record::Inverse;

const OURS: &str = "# /usr/lib/sysctl.d/pve-firewall.conf\nnet.ipv4.conf.all.rp_filter = 2\n\n\
    # /etc/sysctl.d/zz-firstlight.conf\nkernel.kptr_restrict = 2\n\
    net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.default.rp_filter = 1\nnet.ipv4.conf.*.rp_filter = 1\n\
    net.ipv4.conf.all.send_redirects = 0\nnet.ipv4.conf.default.send_redirects = 0\n\
    net.ipv4.conf.*.send_redirects = 0\n\
    net.ipv6.conf.all.accept_redirects = 0\nnet.ipv6.conf.default.accept_redirects = 0\n\
    net.ipv6.conf.*.accept_redirects = 0\n";

fn interface(node: &Scripted, family: &str, name: &str, leaf: &str, value: &str) {
    node.files.put(&format!("/proc/sys/net/{family}/conf/{name}/{leaf}"), format!("{value}\n"));
}

/// A node where everything is as wanted.
fn node() -> Scripted {
    let node = Scripted::new();
    node.files.put("/proc/sys/kernel/kptr_restrict", "2\n");
    for name in ["all", "default", "lo", "vmbr0", "vmbr0.10"] {
        interface(&node, "ipv4", name, "rp_filter", "1");
        interface(&node, "ipv4", name, "send_redirects", "0");
        interface(&node, "ipv4", name, "accept_source_route", "0");
        interface(&node, "ipv6", name, "accept_redirects", "0");
    }
    node.says("/usr/bin/systemd-analyze cat-config sysctl.d", OURS);
    node
}

fn seen(node: &Scripted, name: &str, value: &str) -> Option<String> {
    let check = Check::Kernel { name: name.to_owned(), value: value.to_owned(), boot: true };
    match Observer::new(node).evaluate(&check).unwrap() {
        Verdict::Holds => None,
        Verdict::Fails(message) => Some(message),
    }
}

const RP_FILTER: &str = "net.ipv4.conf.*.rp_filter";
const SEND: &str = "net.ipv4.conf.*.send_redirects";

#[test]
fn g1_a_node_where_all_is_as_wanted_is_green() {
    let node = node();
    for (name, value) in [
        ("kernel.kptr_restrict", "2"),
        (RP_FILTER, "1"),
        (SEND, "0"),
        ("net.ipv6.conf.*.accept_redirects", "0"),
    ] {
        assert_eq!(seen(&node, name, value), None, "{name}");
    }
    // A kernel without IPv6 has nothing to be set.
    node.files.remove("/proc/sys/net/ipv6");
    assert_eq!(seen(&node, "net.ipv6.conf.*.accept_redirects", "0"), None);
}

#[test]
fn g1_i3_a_value_that_was_changed_since_is_red() {
    let node = node();
    node.files.put("/proc/sys/kernel/kptr_restrict", "1\n");
    assert_eq!(seen(&node, "kernel.kptr_restrict", "2").unwrap(), "kernel.kptr_restrict is 1");
    assert_eq!(seen(&node, "kernel.no_such", "2").unwrap(), "the kernel does not have kernel.no_such");
}

#[test]
fn g1_i3_one_interface_is_red_where_the_kernel_lets_it_decide() {
    let red = |family: &str, name: &str, leaf: &str, value: &str, wanted: &str| {
        let node = node();
        interface(&node, family, name, leaf, value);
        let text =
            OURS.replace("kernel.kptr", &format!("net.{family}.conf.*.{leaf} = {wanted}\nkernel.kptr"));
        node.says("/usr/bin/systemd-analyze cat-config sysctl.d", &text);
        seen(&node, &format!("net.{family}.conf.*.{leaf}"), wanted)
    };
    // The higher one of the two.
    assert_eq!(
        red("ipv4", "vmbr0.10", "rp_filter", "2", "1").unwrap(),
        "net/ipv4/conf/vmbr0.10/rp_filter is 2"
    );
    assert_eq!(red("ipv4", "vmbr0", "rp_filter", "0", "1"), None, "`all` is 1");
    assert!(red("ipv4", "vmbr0", "send_redirects", "1", "0").is_some());
    assert!(red("ipv4", "all", "send_redirects", "1", "0").is_some());
    assert!(red("ipv4", "default", "send_redirects", "1", "0").is_some(), "those that come");
    // Both must let a source route in.
    assert_eq!(red("ipv4", "vmbr0", "accept_source_route", "1", "0"), None);
    assert_eq!(red("ipv4", "all", "accept_source_route", "1", "0"), None);
    // `all` means nothing for redirects of IPv6.
    assert_eq!(red("ipv6", "all", "accept_redirects", "1", "0"), None);
    assert!(red("ipv6", "vmbr0", "accept_redirects", "1", "0").is_some());
}

#[test]
fn g1_i3_a_file_that_wins_at_the_next_boot_is_red_and_its_setting_is_named() {
    let node = node();
    let also = |more: &str| {
        node.says(
            "/usr/bin/systemd-analyze cat-config sysctl.d",
            &format!("{OURS}\n# /etc/sysctl.d/zzz.conf\n{more}\n"),
        );
    };
    also("-kernel/kptr_restrict=0 ");
    assert_eq!(
        seen(&node, "kernel.kptr_restrict", "2").unwrap(),
        "kernel.kptr_restrict is 2 now, and the next boot makes kernel/kptr_restrict 0 (`systemd-analyze cat-config sysctl.d`)"
    );
    also("#kernel.kptr_restrict = 0\n;kernel.kptr_restrict = 0");
    assert_eq!(seen(&node, "kernel.kptr_restrict", "2"), None);
    // One line about one interface beats every pattern.
    also("net/ipv4/conf/vmbr0.10/rp_filter = 2");
    assert!(seen(&node, RP_FILTER, "1").unwrap().contains("makes net/ipv4/conf/vmbr0.10/rp_filter 2 ("));
    also("net.ipv4.conf.vmbr0.rp_filter = 0");
    assert_eq!(seen(&node, RP_FILTER, "1"), None, "the higher one counts");
    also("net.ipv4.conf.all.send_redirects = 1");
    assert!(seen(&node, SEND, "0").is_some());
}

#[test]
fn g1_i3_a_boot_that_sets_nothing_is_red_and_so_is_one_where_only_a_pattern_is_ours() {
    let node = node();
    node.says("/usr/bin/systemd-analyze cat-config sysctl.d", "# /usr/lib/sysctl.d/x.conf\nkernel.kptr=2\n");
    for (name, value) in [("kernel.kptr_restrict", "2"), (RP_FILTER, "1")] {
        assert!(seen(&node, name, value).unwrap().contains("no file sets it at the next boot"));
    }
    node.says("/usr/bin/systemd-analyze cat-config sysctl.d", "net.ipv4.conf.*.rp_filter=1\n");
    assert_eq!(seen(&node, RP_FILTER, "1"), None);
    node.says(
        "/usr/bin/systemd-analyze cat-config sysctl.d",
        "net.ipv4.conf.*.rp_filter=1\n# /usr/lib/sysctl.d/pve-firewall.conf\nnet.ipv4.conf.all.rp_filter = 2\n",
    );
    assert!(
        seen(&node, RP_FILTER, "1").unwrap().contains("makes net/ipv4/conf/all/rp_filter 2 ("),
        "the defect of a peer"
    );
}

#[test]
fn g1_i3_what_ufw_sets_when_it_starts_counts_while_it_does() {
    let node = node();
    node.files.put("/etc/default/ufw", "IPT_SYSCTL=/etc/ufw/sysctl.conf\n");
    node.files.put("/etc/ufw/sysctl.conf", "net/ipv4/conf/all/send_redirects=1\n");
    node.files.put("/etc/ufw/ufw.conf", "ENABLED=no\n");
    assert_eq!(seen(&node, SEND, "0"), None);
    for yes in ["ENABLED=yes\n", "ENABLED=\"yes\"\n"] {
        node.files.put("/etc/ufw/ufw.conf", yes);
        assert!(seen(&node, SEND, "0").unwrap().contains("/all/send_redirects 1 ("));
    }
    node.files.put("/etc/default/ufw", "IPT_SYSCTL=\n");
    assert_eq!(seen(&node, SEND, "0"), None, "it has no such file");
}

#[test]
fn g1_an_interface_with_a_dot_in_its_name_is_found_by_every_way_to_write_it() {
    let node = node();
    let path = "/proc/sys/net/ipv4/conf/vmbr0.10/rp_filter";
    for name in ["net.ipv4.conf.vmbr0/10.rp_filter", "net/ipv4/conf/vmbr0.10/rp_filter"] {
        assert_eq!(crate::change::kernel_path(name).to_str(), Some(path), "{name}");
        node.says("/usr/bin/systemd-analyze cat-config sysctl.d", &format!("{name} = 1\n"));
        assert_eq!(seen(&node, name, "1"), None, "{name}");
        assert!(seen(&node, name, "2").is_some(), "{name}");
    }
}

fn sysctl(files: &Files, words: &[String]) {
    for word in &words[4..] {
        let (name, value) = word.split_once('=').unwrap();
        let path = crate::change::kernel_path(name);
        let path = path.to_str().unwrap();
        assert!(files.has(path), "{path}");
        files.put(path, format!("{value}\n"));
    }
}

#[test]
fn g1_j3_every_interface_is_set_in_one_call_and_gets_its_own_value_back() {
    let node = node();
    interface(&node, "ipv4", "vmbr0.10", "rp_filter", "2");
    interface(&node, "ipv4", "vmbr0", "rp_filter", "0");
    interface(&node, "ipv4", "all", "rp_filter", "2");
    node.on("/usr/sbin/sysctl -q -e -w", |files, invocation| {
        sysctl(files, &invocation.arguments);
        Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings =
        vec![setting(RP_FILTER, "1"), setting("kernel.kptr_restrict", "1"), setting("no.such", "1")];
    let change = Change::Kernel(KernelChange { settings });
    let need = change.need(&node).unwrap().unwrap();
    assert_eq!(need.title, "kernel net/ipv4/conf/all/rp_filter: 1 instead of 2, and others");
    let inverse = change.inverse(&node, &mut Vec::new()).unwrap();
    change.effect(&node).unwrap();
    assert!(change.need(&node).unwrap().is_none());
    assert_eq!(seen(&node, RP_FILTER, "1"), None);
    let calls = node.ran();
    let set: Vec<&String> = calls.iter().filter(|line| line.contains("sysctl -q")).collect();
    assert_eq!(
        set,
        ["/usr/sbin/sysctl -q -e -w net/ipv4/conf/all/rp_filter=1 net/ipv4/conf/vmbr0/rp_filter=1 \
        net/ipv4/conf/vmbr0.10/rp_filter=1 kernel.kptr_restrict=1"]
    );
    // An interface that has gone since has nothing to get back.
    node.files.remove("/proc/sys/net/ipv4/conf/vmbr0");
    let Inverse::Kernel { .. } = &inverse else { panic!("another inverse") };
    let mut kept = Vec::new();
    crate::change::undo(&node, &inverse, false, &mut kept).unwrap();
    assert!(kept.is_empty());
    let value = |name: &str| node.files.text(&format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"));
    assert_eq!(
        (value("all").as_str(), value("vmbr0.10").as_str(), value("lo").as_str()),
        ("2\n", "2\n", "1\n")
    );
    assert_eq!(node.files.text("/proc/sys/kernel/kptr_restrict"), "2\n");
    assert!(node.lookup(std::path::Path::new("/proc/sys/net/ipv4/conf/vmbr0")).unwrap().is_none());
}
