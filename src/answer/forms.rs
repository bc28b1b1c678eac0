//! How the texts of an answer must look, each with the sentence that says so.

use super::firewall::port;
use super::table::{Form, only};
use crate::totp;

/// A PVE user: `NAME@REALM`, as PVE's access control takes it.
pub(super) const USER_OF_REALM: Form =
    Form { fits: is_user_of_realm, right: "must be a PVE user such as \"ops@pam\"" };

fn is_user_of_realm(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(name, realm)| {
        !name.is_empty() && !name.contains([' ', ':', '/']) && is_realm(realm) && text.len() <= 64
    })
}

/// A user's TOTP secret, as `bake` writes it.
pub(super) const SECRET: Form = Form {
    fits: is_secret,
    right: "must be USER@REALM=SECRET with 32 letters of base32, as `firstlight bake` writes it",
};

fn is_secret(text: &str) -> bool {
    text.rsplit_once('=').is_some_and(|(user, secret)| {
        is_user_of_realm(user)
            && totp::from_base32(secret)
                .is_some_and(|key| key.len() == totp::SECRET_BYTES && totp::base32(&key) == secret)
    })
}

/// A realm of PVE.
pub(super) const REALM: Form = Form { fits: is_realm, right: "must be the name of a realm such as \"pam\"" };

fn is_realm(text: &str) -> bool {
    text.len() >= 2 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && only(text, "._-")
}

/// What an authenticator shows above the user.
pub(super) const ISSUER: Form = Form {
    fits: |text| !text.contains(':') && text.len() <= 64,
    right: "must have no colon and at most 64 bytes",
};

/// `tcp/9100`.
pub(super) const LISTENER: Form = Form {
    fits: |text| {
        let number = text.strip_prefix("tcp/").or_else(|| text.strip_prefix("udp/"));
        number.and_then(port).is_some()
    },
    right: "must be a protocol and a port, such as \"tcp/9100\"",
};

/// An AppArmor profile.
pub(super) const PROFILE: Form = Form {
    fits: |text| only(text, "._-/*@{}+"),
    right: "must be the name of an AppArmor profile such as \"lxc-container-default-cgns\"",
};

/// A module of the kernel.
pub(super) const MODULE: Form =
    Form { fits: |text| only(text, "_-"), right: "must be the name of a kernel module such as \"tipc\"" };

/// A package (Debian Policy 5.6.1).
pub(super) const PACKAGE: Form = Form {
    fits: |text| {
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        text.len() > 1
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|byte| lower(byte) || b"+-.".contains(&byte))
    },
    right: "must be the name of a Debian package such as \"needrestart\"",
};

/// A calendar expression; whether it makes sense, `systemd-analyze calendar` says on the node.
pub(super) const SCHEDULE: Form = Form {
    fits: |text| only(text, " *:-,./~"),
    right: "must be a systemd calendar expression such as \"weekly\" or \"Mon *-*-* 03:00\", or \"never\"",
};

/// A control's id.
pub(super) const CONTROL: Form = Form {
    fits: |text| {
        // Behind the area stand names of users and rules, and fingerprints.
        text.split_once('.').is_some_and(|(area, rest)| {
            !area.is_empty()
                && area.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && only(rest, "-_./@:,+=!|()")
        })
    },
    right: "must be the id of a control such as \"ssh.port\", as `firstlight audit` prints it",
};

/// Anything but nothing.
pub(super) const FILLED: Form = Form { fits: |text| !text.trim().is_empty(), right: "must not be empty" };

/// Something to send to.
pub(super) const URL: Form =
    Form { fits: is_url, right: "must be a URL such as \"https://host.example/path\"" };

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A day that exists.
pub(super) const DATE: Form =
    Form { fits: is_date, right: "must be a day that exists, such as \"2027-06-30\"" };

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |width: usize| {
        let digits =
            parts.next().filter(|part| part.len() == width && part.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0)
    };
    let (year, month, day) = (number(4), number(2), number(2));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    year >= 1970 && (1..=days).contains(&day) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for (text, right) in [
            ("2027-06-30", true),
            ("2028-02-29", true),
            ("2000-02-29", true),
            ("2100-02-29", false),
            ("2027-02-29", false),
            ("2027-06-31", false),
            ("2027-13-01", false),
            ("2027-00-10", false),
            ("2027-6-3", false),
            ("27-06-30", false),
            ("2027-06-30-", false),
            ("+027-06-30", false),
            ("next year", false),
        ] {
            assert_eq!(is_date(text), right, "{text}");
        }
    }

    #[test]
    fn urls_have_a_host_and_no_blanks() {
        for (text, right) in [
            ("https://host.example/path?x=1", true),
            ("http://[2001:db8::1]/", true),
            ("https://", false),
            ("ftp://host/", false),
            ("https://host/a b", false),
            ("host.example", false),
        ] {
            assert_eq!(is_url(text), right, "{text}");
        }
    }

    #[test]
    fn users_realms_listeners_and_controls_have_their_forms() {
        assert!(is_user_of_realm("root@pam") && is_user_of_realm("a.b@corp-ldap"));
        assert!(!is_user_of_realm("root") && !is_user_of_realm("@pam") && !is_user_of_realm("a b@pam"));
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert!(is_secret(&format!("a=b@pam={secret}")) && !is_secret(&format!("a@pam={}", &secret[8..])));
        assert!(!is_secret(secret) && !is_secret(&format!("a@pam={}", secret.to_lowercase())));
        assert!((LISTENER.fits)("tcp/9100") && !(LISTENER.fits)("9100") && !(LISTENER.fits)("udp/0"));
        assert!((CONTROL.fits)("ssh.port") && !(CONTROL.fits)("ssh") && !(CONTROL.fits)("Ssh.port"));
        assert!((SCHEDULE.fits)("Mon *-*-* 03:00") && !(SCHEDULE.fits)(""));
    }
}
