//! Every key of PVE's answer file as of 9.2 (proxmox-installer-types).

use super::super::table::Form;
use super::forms::{
    ADDRESS, CIDR, COUNTRY, CRYPT, FINGERPRINT, GLOB, INTERFACE, MAIL, NOT_EMPTY, PASSWORD, SUBSCRIPTION,
    ZONE,
};
use crate::answer::forms::URL;

/// One key and what it takes.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// The old spelling that the installer still takes; empty for none.
    pub(super) alias: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
}

/// What a key takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text(Form),
    Words(&'static [&'static str]),
    Flag,
    Whole(i64, i64),
    /// GiB, whole or not.
    Size,
    /// Texts.
    List,
    /// A table of names and texts.
    Map(Form),
    Table(&'static [Key]),
    /// A name, or a table that says where it comes from.
    Fqdn,
}

const fn required(name: &'static str, kind: Kind) -> Key {
    Key { name, alias: "", required: true, kind }
}

const fn optional(name: &'static str, kind: Kind) -> Key {
    Key { name, alias: "", required: false, kind }
}

const fn renamed(name: &'static str, alias: &'static str, kind: Kind) -> Key {
    Key { name, alias, required: false, kind }
}

/// Name, whether an answer for the installer must have it, its keys.
pub(super) const TABLES: &[(&str, bool, &[Key])] = &[
    ("global", true, GLOBAL),
    ("network", true, NETWORK),
    ("disk-setup", true, DISK_SETUP),
    ("post-installation-webhook", false, WEBHOOK),
    ("first-boot", false, FIRST_BOOT),
];

const KEYBOARDS: &[&str] = &[
    "de", "de-ch", "dk", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it",
    "jp", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "se", "si", "tr",
];

const GLOBAL: &[Key] = &[
    required("country", Kind::Text(COUNTRY)),
    required("fqdn", Kind::Fqdn),
    required("keyboard", Kind::Words(KEYBOARDS)),
    required("mailto", Kind::Text(MAIL)),
    required("timezone", Kind::Text(ZONE)),
    renamed("root-password", "root_password", Kind::Text(PASSWORD)),
    renamed("root-password-hashed", "root_password_hashed", Kind::Text(CRYPT)),
    renamed("reboot-on-error", "reboot_on_error", Kind::Flag),
    renamed("reboot-mode", "reboot_mode", Kind::Words(&["reboot", "power-off"])),
    renamed("root-ssh-keys", "root_ssh_keys", Kind::List),
    renamed("subscription-key", "subscription_key", Kind::Text(SUBSCRIPTION)),
];

/// `fqdn = { source = "from-dhcp" }`.
pub(super) const FROM_DHCP: &[Key] =
    &[required("source", Kind::Words(&["from-dhcp"])), optional("domain", Kind::Text(NOT_EMPTY))];

const NETWORK: &[Key] = &[
    required("source", Kind::Words(&["from-dhcp", "from-answer"])),
    optional("cidr", Kind::Text(CIDR)),
    optional("dns", Kind::Text(ADDRESS)),
    optional("gateway", Kind::Text(ADDRESS)),
    optional("filter", Kind::Map(GLOB)),
    optional("interface-name-pinning", Kind::Table(PINNING)),
];

const PINNING: &[Key] = &[required("enabled", Kind::Flag), optional("mapping", Kind::Map(INTERFACE))];

const DISK_SETUP: &[Key] = &[
    required("filesystem", Kind::Words(&["ext4", "xfs", "zfs", "btrfs"])),
    renamed("disk-list", "disk_list", Kind::List),
    optional("filter", Kind::Map(GLOB)),
    renamed("filter-match", "filter_match", Kind::Words(&["any", "all"])),
    optional("zfs", Kind::Table(ZFS)),
    optional("lvm", Kind::Table(LVM)),
    optional("btrfs", Kind::Table(BTRFS)),
];

const ZFS_LEVELS: &[&str] = &[
    "raid0", "raid1", "raid10", "raidz-1", "raidz-2", "raidz-3", "RAID0", "RAID1", "RAID10", "RAIDZ-1",
    "RAIDZ-2", "RAIDZ-3",
];

const ZFS: &[Key] = &[
    required("raid", Kind::Words(ZFS_LEVELS)),
    optional("ashift", Kind::Whole(9, 16)),
    // MiB.
    renamed("arc-max", "arc_max", Kind::Whole(64, i64::MAX)),
    optional("checksum", Kind::Words(&["on", "fletcher4", "sha256"])),
    optional("compress", Kind::Words(&["on", "off", "lzjb", "lz4", "zle", "gzip", "zstd"])),
    optional("copies", Kind::Whole(1, 3)),
    optional("hdsize", Kind::Size),
];

const LVM: &[Key] = &[
    optional("hdsize", Kind::Size),
    optional("swapsize", Kind::Size),
    optional("maxroot", Kind::Size),
    optional("maxvz", Kind::Size),
    optional("minfree", Kind::Size),
];

const BTRFS: &[Key] = &[
    required("raid", Kind::Words(&["raid0", "raid1", "raid10", "RAID0", "RAID1", "RAID10"])),
    optional("compress", Kind::Words(&["on", "off", "zlib", "lzo", "zstd"])),
    optional("hdsize", Kind::Size),
];

const WEBHOOK: &[Key] = &[
    required("url", Kind::Text(URL)),
    renamed("cert-fingerprint", "cert_fingerprint", Kind::Text(FINGERPRINT)),
    renamed("auth-token", "auth_token", Kind::Text(NOT_EMPTY)),
];

const FIRST_BOOT: &[Key] = &[
    required("source", Kind::Words(&["from-iso", "from-url"])),
    optional("ordering", Kind::Words(&["before-network", "network-online", "fully-up"])),
    optional("url", Kind::Text(URL)),
    renamed("cert-fingerprint", "cert_fingerprint", Kind::Text(FINGERPRINT)),
];
