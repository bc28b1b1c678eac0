//! PVE's tables: what its installer takes and refuses, and the form in which they leave.

use super::{PVE, ours, right, wrong};

#[test]
fn old_spellings_of_pve_leave_in_the_canonical_one() {
    let text = PVE
        .replace("filesystem = \"ext4\"", "filesystem = \"zfs\"\nzfs = { raid = \"raid0\", arc_max = 64 }");
    let answer = right(&(text + &ours("", "")));
    let toml = answer.pve.unwrap().toml;
    let table: toml::Table = toml::from_str(&toml).unwrap();
    assert_eq!(table["global"]["root-password"].as_str(), Some("correct horse"));
    assert_eq!(table["disk-setup"]["disk-list"][0].as_str(), Some("sda"));
    assert_eq!(table["disk-setup"]["zfs"]["arc-max"].as_integer(), Some(64));
    assert_eq!(table["first-boot"]["source"].as_str(), Some("from-iso"));
    assert_eq!(table["first-boot"]["ordering"].as_str(), Some("fully-up"));
    assert!(!toml.contains('_'), "{toml}");
}

#[test]
fn a_first_boot_from_a_url_is_left_as_it_is() {
    let first_boot =
        "[first-boot]\nsource = \"from-url\"\nurl = \"https://h.example/x\"\nordering = \"network-online\"\n";
    let toml = right(&(PVE.to_owned() + first_boot + &ours("", ""))).pve.unwrap().toml;
    assert!(
        toml.ends_with(
            "source = \"from-url\"\nordering = \"network-online\"\nurl = \"https://h.example/x\"\n\n"
        ),
        "{toml}"
    );
}

#[test]
fn pve_takes_more_forms_than_one() {
    for (from, to) in [
        ("fqdn = \"pve1.example.com\"", "fqdn = { source = \"from-dhcp\", domain = \"example.com\" }"),
        ("fqdn = \"pve1.example.com\"", "fqdn.source = \"from-dhcp\""),
        ("filesystem = \"ext4\"", "filesystem = \"xfs\"\nlvm = { hdsize = 64.5, swapsize = 8 }"),
        ("disk_list = [\"sda\"]", "filter.ID_SERIAL = \"x*\"\nfilter_match = \"all\""),
        (
            "source = \"from-dhcp\"",
            "source = \"from-dhcp\"\ninterface-name-pinning = { enabled = true, mapping = { \"aa:bb:cc:dd:ee:01\" = \"nic0\" } }",
        ),
    ] {
        let answer = right(&(PVE.replacen(from, to, 1) + &ours("", "")));
        let toml = answer.pve.unwrap().toml;
        assert!(toml::from_str::<toml::Table>(&toml).is_ok(), "{toml}");
    }
}

#[test]
fn pve_refuses_what_its_installer_refuses() {
    for (from, to, message) in [
        ("country = \"at\"", "country = \"AT\"", "global.country: must be two lower-case letters"),
        ("country = \"at\"", "country = 1", "global.country: must be a text in quotes"),
        (
            "fqdn = \"pve1.example.com\"",
            "fqdn = { source = \"from-dhcp\", domain = \"\" }",
            "global.fqdn.domain: must not be empty",
        ),
        ("keyboard = \"en-us\"", "keyboard = \"us\"", "global.keyboard: must be \"de\""),
        (
            "root_password = \"correct horse\"",
            "root_password = \"short\"",
            "global.root-password: must have at least 8",
        ),
        ("root_password = \"correct horse\"", "", "global.root-password: is required, or"),
        (
            "timezone = \"UTC\"",
            "timezone = \"UTC\"\nsubscription-key = \"pve\"",
            "global.subscription-key: must be a sub",
        ),
        (
            "timezone = \"UTC\"",
            "timezone = \"UTC\"\nreboot-mode = \"halt\"",
            "global.reboot-mode: must be \"reboot\" or",
        ),
        (
            "timezone = \"UTC\"",
            "timezone = \"UTC\"\nroot-ssh-keys = [\"x\"]",
            "global.root-ssh-keys: must be a public key",
        ),
        ("[disk-setup]", "filter.A = \"b\"\n[disk-setup]", "network.filter: must not stand beside"),
        (
            "[disk-setup]",
            "interface-name-pinning = { mapping = { \"aa:bb:cc:dd:ee:01\" = \"nic0\" } }\n[disk-setup]",
            "network.interface-name-pinning.enabled: is required",
        ),
        (
            "[disk-setup]",
            "interface-name-pinning = { enabled = true, mapping = { \"aa:bb:cc:dd:ee:01\" = \"nic0\", \"aa:bb:cc:dd:ee:02\" = \"nic0\" } }\n[disk-setup]",
            "network.interface-name-pinning.mapping.\"aa:bb:cc:dd:ee:02\": gives a name",
        ),
        (
            "ext4\"\ndisk_list = [\"sda\"]",
            "btrfs\"\nbtrfs.raid = \"raid0\"\ndisk_list = [\"sda\", \"sda\"]",
            "disk-setup.disk-list: is listed twice",
        ),
        ("disk_list = [\"sda\"]", "", "disk-setup.disk-list: is required, or filter"),
        (
            "disk_list = [\"sda\"]",
            "disk_list = [\"sda\"]\nfilter.A = \"b\"",
            "disk-setup.filter: must not stand beside",
        ),
        ("filesystem = \"ext4\"", "filesystem = \"zfs\"", "disk-setup.zfs: is required"),
        (
            "filesystem = \"ext4\"",
            "filesystem = \"zfs\"\nzfs = { raid = \"raid0\", ashift = 8 }",
            "disk-setup.zfs.ashift: must be a whole number from 9 to 16",
        ),
        (
            "filesystem = \"ext4\"",
            "filesystem = \"zfs\"\nzfs = { raid = \"raid0\", arc-max = 63 }",
            "disk-setup.zfs.arc-max: must be a whole number from 64 on",
        ),
        (
            "filesystem = \"ext4\"",
            "filesystem = \"btrfs\"\nbtrfs = { raid = \"raid10\" }",
            "disk-setup.disk-list: must name at least 4 disks",
        ),
        (
            "filesystem = \"ext4\"\ndisk_list = [\"sda\"]",
            "filesystem = \"btrfs\"\nbtrfs = { raid = \"RAID10\" }\n\
             disk_list = [\"sda\", \"sdb\", \"sdc\", \"sdd\", \"sde\"]",
            "disk-setup.disk-list: must name an even number of disks",
        ),
        (
            "[network]",
            "subscription-key = \"pve2c-0123ABCDEF\"\n[network]",
            "ten hexadecimal digits in lower case",
        ),
        (
            "filesystem = \"ext4\"",
            "filesystem = \"ext4\"\nlvm = { maxvz = -1 }",
            "disk-setup.lvm.maxvz: must be a size in GiB",
        ),
        ("filesystem = \"ext4\"", "filesystem = \"ext4\"\nlvm = 3", "disk-setup.lvm: must be a table"),
        ("filesystem = \"ext4\"", "filesystem = \"ntfs\"", "disk-setup.filesystem: must be \"ext4\""),
        ("[global]", "[first-boot]\nsource = \"from-url\"\n[global]", "first-boot.url: is required"),
        (
            "[global]",
            "[post-installation-webhook]\nurl = \"x\"\n[global]",
            "post-installation-webhook.url: must be a URL",
        ),
    ] {
        assert!(PVE.contains(from), "{from}");
        let text = wrong(&(PVE.replacen(from, to, 1) + &ours("", "")));
        assert!(text.contains(message) && text.lines().count() == 1, "{to} gives:\n{text}");
        assert!(!text.contains("correct horse") && !text.contains("short"), "{text}");
    }
}
