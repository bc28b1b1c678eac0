//! The old second factor: a bare secret in `keys` of user.cfg, which counts once the realm asks for one.

use crate::access::random;
use crate::access::realm_config::Realm;
use crate::access::tfa_config::{Secret, TfaConfig, TotpEntry};
use crate::access::totp::Totp;
use crate::command_line::parameter::matches;
use crate::context::Context;
use crate::failure::Failure;

/// Adds the old keys of a user as entries, if the realm gives them a meaning.
pub fn add_keys(
    context: &Context,
    config: &mut TfaConfig,
    user: &str,
    realm: &Realm,
    keys: &str,
) -> Result<(), Failure> {
    if realm.required_factor() != Some("oath") {
        return Ok(());
    }
    let setting = |name: &str, default: &str| {
        let tfa = realm.get("tfa").unwrap_or_default();
        let value = tfa.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or(default).to_owned()
    };
    let (digits, step) = (setting("digits", "6"), setting("step", "30"));
    for (count, secret) in crate::access::names::entries(keys).filter_map(secret).enumerate() {
        let uri = format!(
            "otpauth://totp/Proxmox%20VE:Old%20key%20for%20{user}?digits={digits}&period={step}&algorithm=SHA1&secret={secret}"
        );
        let Ok(totp) = Totp::read(&uri) else { continue };
        let entry = TotpEntry {
            id: random::uuid()?,
            description: format!("<old userconfig key {count}>"),
            created: context.now(),
            enable: true,
            entry: Secret { totp, last_count: None },
        };
        config.users.entry(user.to_owned()).or_default().totp.push(entry);
    }
    Ok(())
}

/// The secret of an old key: sixteen letters of base 32, or what stands behind `v2-`. Others mean nothing.
fn secret(key: &str) -> Option<&str> {
    let bare = matches("[A-Z2-7=]{16}", key).then_some(key);
    bare.or_else(|| key.strip_prefix("v2-").filter(|secret| matches("[A-Z2-7=]+", secret)))
}
