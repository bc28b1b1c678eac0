//! Algorithm sets (row B4). RSA with SHA-2 and ed25519 stay in all of them: cluster nodes log in with RSA keys,
//! and PVE publishes the RSA host key (pve-contract 4.6).

use super::options::{Seen, SshOption};
use crate::facts::Facts;
use crate::profile::Algorithms;

/// Post-quantum first, curve25519 last: every client since 2014 has one of them. That curve is all that ssh-audit 3.9.0
/// warns of in this set.
const COMPATIBLE_KEX: &str = "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,\
    curve25519-sha256,curve25519-sha256@libssh.org";
const COMPATIBLE_USER_KEYS: &str = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    rsa-sha2-512,rsa-sha2-256";

/// ssh-audit 3.3's policy "Hardened Debian 13 (version 1)": nothing without a post-quantum part.
const STRICT_KEX: &str = "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com";
/// Its policy "Hardened Debian 12": version 2, and version 3 where Debian has the second name of sntrup761.
const STRICT_KEX_OLD: &str = "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,\
    curve25519-sha256@libssh.org,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha256";
/// Encrypt-then-MAC alone: in OpenSSH since 6.2, and without a use where the cipher is an AEAD.
const MACS: &str = "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com";
const STRICT_MACS_OLD: &str =
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com";
/// Without ECDSA: its signatures give the key away where random numbers are bad, and a node at its first boot is such a
/// place. Who knows an RSA key of a cluster node finds it here (pve-contract 4.6).
const HOST_KEYS: &str = "ssh-ed25519,rsa-sha2-512,rsa-sha2-256";
const STRICT_USER_KEYS: &str = "ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,sk-ssh-ed25519@openssh.com,\
    rsa-sha2-512,rsa-sha2-256";
/// Both policies want this order: the larger AES keys first.
const CIPHERS: &str = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes256-ctr,aes192-ctr,\
    aes128-gcm@openssh.com,aes128-ctr";

/// Both of its policies for Debian 12 want the keys offered in this order, which is that of these lines (sshd's
/// `list_hostkey_types`), whatever `HostKeyAlgorithms` says. The one for Debian 13 takes any.
const HOST_KEYS_OLD: &str = "/etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key";

/// The first OpenSSH with mlkem768x25519-sha256 (its release notes), which the newer policy asks for.
const MLKEM_SINCE: (u32, u32) = (9, 9);
const SNTRUP: &str = "sntrup761x25519-sha512";
const MLKEM: &str = "mlkem768x25519-sha256";

pub(super) fn wanted(set: Algorithms, facts: &Facts) -> Vec<SshOption> {
    let strict = set == Algorithms::Strict;
    let new = facts.openssh_at_least(MLKEM_SINCE.0, MLKEM_SINCE.1);
    let (kex, macs) = match (strict, new) {
        (false, _) => (COMPATIBLE_KEX, MACS),
        (true, true) => (STRICT_KEX, MACS),
        (true, false) => (STRICT_KEX_OLD, STRICT_MACS_OLD),
    };
    let kex: Vec<&str> = kex.split(',').filter(|name| knows(facts, name)).collect();
    let mut options = vec![
        option("ssh.key-exchange", "KexAlgorithms", "kexalgorithms", &kex.join(",")),
        option("ssh.ciphers", "Ciphers", "ciphers", CIPHERS),
        option("ssh.macs", "MACs", "macs", macs),
        option("ssh.host-key-algorithms", "HostKeyAlgorithms", "hostkeyalgorithms", HOST_KEYS),
        SshOption {
            seen: Seen::PerConnection,
            ..option(
                "ssh.user-key-algorithms",
                "PubkeyAcceptedAlgorithms",
                "pubkeyacceptedalgorithms",
                user_keys(set),
            )
        },
    ];
    if strict && !new && !facts.sshd_names_host_keys {
        let mut keys = option("ssh.host-keys", "HostKey", "hostkey", HOST_KEYS_OLD);
        keys.value = HOST_KEYS_OLD.replace(' ', "\nHostKey ");
        options.push(keys);
    }
    options
}

fn option(id: &'static str, keyword: &'static str, name: &'static str, value: &str) -> SshOption {
    SshOption {
        id,
        requirement: "B4",
        wanted: format!("{keyword} are {value}"),
        keyword,
        name,
        value: value.to_owned(),
        printed: value.to_owned(),
        seen: Seen::Everywhere,
    }
}

/// By what the installed OpenSSH lists; without a list by its version, names that Debian added later left out.
fn knows(facts: &Facts, name: &str) -> bool {
    if !facts.ssh_key_exchanges.is_empty() {
        return facts.ssh_key_exchanges.iter().any(|known| known == name);
    }
    let new = facts.openssh_at_least(MLKEM_SINCE.0, MLKEM_SINCE.1);
    new || (name != MLKEM && name != SNTRUP)
}

fn user_keys(set: Algorithms) -> &'static str {
    if set == Algorithms::Strict { STRICT_USER_KEYS } else { COMPATIBLE_USER_KEYS }
}

/// Whether a key of this type can log in; an `ssh-rsa` key signs with SHA-2.
pub(super) fn accepts_key(set: Algorithms, algorithm: &str) -> bool {
    let name = if algorithm == "ssh-rsa" { "rsa-sha2-512" } else { algorithm };
    set == Algorithms::Keep || user_keys(set).split(',').any(|known| known == name)
}
