//! Keys, hashes and where secrets come from.

/// A secret as the answer gives it: the value itself, or where the node finds it.
#[derive(Clone)]
pub enum Secret<T> {
    /// Given in the answer.
    Value(T),
    /// In a file on the node.
    File(String),
    /// A systemd credential.
    Credential(String),
}

/// A crypt(5) hash: yescrypt, sha512 or sha256. No `Debug` and no `Display`: it must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a hash whose form `answer` has checked.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Opens it; only for a child's standard input.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// What a private key is encrypted with; empty for nothing. No `Debug` and no `Display`, as above.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Passphrase(String);

impl Passphrase {
    /// Of what somebody typed.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Opens it; only for a child's standard input.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// A public key line in the form of `authorized_keys` without options.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `sk-ssh-ed25519@openssh.com`, `ssh-rsa`, …
    pub algorithm: String,
    /// The base64 blob as given.
    pub blob: String,
    /// May be empty.
    pub comment: String,
    /// `SHA256:…` as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

impl PublicKey {
    /// The line for `authorized_keys`, without newline.
    pub fn line(&self) -> String {
        let line = format!("{} {} {}", self.algorithm, self.blob, self.comment);
        line.trim_end().to_owned()
    }
}
