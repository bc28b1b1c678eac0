//! PVE's storages, as far as NFS goes (`/etc/pve/storage.cfg`).

/// Where PVE keeps them: `TYPE: NAME` at the left edge, the properties below it behind a tab.
pub const PATH: &str = "/etc/pve/storage.cfg";

/// The first NFS storage whose mount options do not say version 4: without any, the server decides. Empty for none.
pub fn nfs_v3(text: &str) -> &str {
    let mut name = "";
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (key, value) = line.trim().split_once(char::is_whitespace).unwrap_or_default();
        if line.starts_with([' ', '\t']) {
            if key == "options" && value.split(',').any(says_version_4) {
                name = "";
            }
        } else if name.is_empty() {
            name = if key == "nfs:" { value.trim() } else { "" };
        } else {
            break;
        }
    }
    name
}

/// nfs(5): `vers=` and `nfsvers=` are the same.
fn says_version_4(option: &str) -> bool {
    let (key, value) = option.trim().split_once('=').unwrap_or_default();
    matches!(key, "vers" | "nfsvers") && value.starts_with('4')
}

#[cfg(test)]
mod tests {
    use super::*;

    // As PVE writes it (its own documentation of the NFS plugin has the same layout).
    const STORAGES: &str = "dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl,backup\n\n\
        nfs: new\n\texport /new\n\tpath /mnt/pve/new\n\tserver 10.0.20.9\n\toptions soft,vers=4.2\n\n\
        nfs: iso\n\texport /space/iso\n\tpath /mnt/pve/iso\n\tserver 10.0.20.9\n\tcontent iso\n\tOPTIONS\n";

    #[test]
    fn g2_an_nfs_storage_may_speak_version_3_unless_its_options_say_4() {
        let with = |options: &str| nfs_v3(&STORAGES.replace("\tOPTIONS\n", options)).to_owned();
        for options in ["", "\toptions vers=3\n", "\toptions nfsvers=3,soft\n", "\toptions soft\n"] {
            assert_eq!(with(options), "iso", "{options}");
        }
        for options in ["\toptions vers=4\n", "\toptions soft,nfsvers=4.1\n"] {
            assert_eq!(with(options), "", "{options}");
        }
        assert_eq!(nfs_v3("dir: nfs\n\tpath /x\n#nfs: no\n"), "");
        assert_eq!(nfs_v3("nfs: a\n\tserver x\ncifs: b\n\toptions vers=4\n"), "a");
    }
}
