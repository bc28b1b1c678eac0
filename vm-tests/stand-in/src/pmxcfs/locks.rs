//! The life of lock directories below `priv/lock`.

use std::collections::BTreeMap;

/// Seconds after which a lock that nobody renewed may be taken over.
const LIFE: u32 = 120;

/// Since when pmxcfs counts the life of each lock: memory of this process alone, so a restart counts anew.
#[derive(Default)]
pub struct Locks {
    since: BTreeMap<String, Life>,
}

struct Life {
    /// Inode and version: another mark is another lock of the same name.
    mark: (u64, u64),
    begun: u32,
}

impl Locks {
    /// True for the path of a lock.
    pub fn is_lock(path: &str) -> bool {
        path.strip_prefix("priv/lock/").is_some_and(|name| !name.is_empty())
    }

    /// A lock was made or renewed.
    pub fn begin(&mut self, path: &str, mark: (u64, u64), now: u32) {
        self.since.insert(path.to_owned(), Life { mark, begun: now });
    }

    /// A lock is gone.
    pub fn forget(&mut self, path: &str) {
        self.since.remove(path);
    }

    /// Whether the lock may be taken over; counting begins with the first question if it has not begun.
    pub fn has_expired(&mut self, path: &str, mark: (u64, u64), now: u32) -> bool {
        match self.since.get(path) {
            Some(life) if life.mark == mark => now.saturating_sub(life.begun) > LIFE,
            _ => {
                self.begin(path, mark, now);
                false
            }
        }
    }
}
