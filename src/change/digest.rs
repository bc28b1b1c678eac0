//! What the hash of a plan is made of.

use super::{Change, Switch};
use crate::profile::{Handover, Secret};
use std::path::Path;

impl Change {
    /// Everything that decides the effect; a secret by its reference alone.
    pub fn digest_text(&self) -> String {
        let mut text = DigestText(self.kind().to_owned());
        match self {
            Self::File(change) => {
                let content = crate::objects::ObjectId::of(&change.content).to_string();
                text.path(&change.path).word(&content).word(&format!("{:o}", change.mode)).word(&change.owner)
            }
            Self::Directory(change) => {
                text.path(&change.path).word(&format!("{:o}", change.mode)).word(&change.owner)
            }
            Self::Packages(change) => text
                .flag(change.allow_upgrades)
                .path(change.directory.as_deref().unwrap_or(Path::new("")))
                .words(&change.names),
            Self::Account(change) => {
                let password = match &change.password {
                    None => "kept",
                    Some(Secret::Value(_)) => "given",
                    Some(Secret::File(path)) => path,
                    Some(Secret::Credential(name)) => name,
                };
                text.word(&change.name).word(&change.comment).word(&change.shell).path(&change.home);
                text.word(password).words(&change.groups)
            }
            Self::Unit(change) => {
                let asked = |state: Option<bool>| match state {
                    None => "kept",
                    Some(true) => "yes",
                    Some(false) => "no",
                };
                text.word(&change.name).word(asked(change.enabled)).word(asked(change.active))
            }
            Self::KeyPair(change) => {
                text.path(&change.path).word(&change.comment).flag(change.handover == Handover::File)
            }
            Self::Reload(change) => text.word(&change.name),
            Self::UfwOff => &mut text,
            Self::PveFile(change) => text.path(&change.path).word(&change.content),
            Self::PveFirewall(switch) => text.word(if *switch == Switch::Off { "off" } else { "on" }),
            Self::Kernel(change) => {
                for (name, value) in &change.settings {
                    text.word(name).word(value);
                }
                &mut text
            }
            Self::AppArmor(file) => text.word(file),
            Self::HostKey(change) => text.path(&change.path).word(&change.bits.to_string()),
            Self::Pve(change) => text.words(&change.object.words()).flag(change.handover == Handover::File),
            Self::Ufw(change) => {
                text.word(&change.incoming).word(&change.outgoing).word(&change.routed).word(&change.logging);
                match &change.ping {
                    None => text.word("ping any"),
                    Some(networks) => text.word("ping").word(&networks.join(",")),
                };
                change.rules.iter().for_each(|rule| {
                    text.words(rule);
                });
                &mut text
            }
        };
        text.0
    }
}

/// Words, each behind a zero.
struct DigestText(String);

impl DigestText {
    fn word(&mut self, word: &str) -> &mut Self {
        self.0.push('\0');
        self.0.push_str(word);
        self
    }

    fn words(&mut self, words: &[String]) -> &mut Self {
        for word in words {
            self.word(word);
        }
        self
    }

    fn path(&mut self, path: &Path) -> &mut Self {
        self.word(&path.to_string_lossy())
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.word(if flag { "true" } else { "false" })
    }
}
