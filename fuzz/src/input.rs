//! Bytes of the fuzzer as choices, numbers and texts: whatever they are, they mean something.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What is left of an input.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The whole input.
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number of any size.
    pub fn number(&mut self) -> u64 {
        let length = self.below(9);
        self.bytes(length).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The next `length` bytes, or what is left.
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A short text; what is not UTF-8 is replaced.
    pub fn text(&mut self) -> String {
        let length = self.below(24);
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }

    /// Some short texts.
    pub fn texts(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.text()).collect()
    }

    /// Any path, UTF-8 or not.
    pub fn path(&mut self) -> PathBuf {
        let length = self.below(24);
        let mut path = b"/".to_vec();
        path.extend_from_slice(self.bytes(length));
        PathBuf::from(OsString::from_vec(path))
    }

    /// One of a few paths that the other parts of an input name as well.
    pub fn known_path(&mut self) -> PathBuf {
        const PATHS: [&str; 8] =
            ["/etc/a", "/etc/b", "/etc/d", "/etc/d/e", "/etc/d/f", "/etc/pve/x", "/home/ops", "/etc"];
        PATHS.get(self.below(9)).map_or_else(|| self.path(), PathBuf::from)
    }
}
