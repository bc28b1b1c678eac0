//! Maps and sets as sorted vectors. What is kept in them mostly comes in order, and every kind of key costs a tenth of
//! the code that a B-tree needs for it (docs/size.md).
//!
//! A key that comes out of order moves all that sort behind it: whoever has very many of those sorts them first.

use std::borrow::Borrow;

/// Values by their keys.
#[cfg_attr(test, derive(Debug))]
pub struct Map<K, V> {
    pairs: Vec<(K, V)>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { pairs: Vec::new() }
    }
}

impl<K: Ord, V> Map<K, V> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Where the key is, or belongs.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        match self.pairs.last() {
            Some((last, _)) if last.borrow() < key => Err(self.pairs.len()),
            _ => self.pairs.binary_search_by(|(own, _)| own.borrow().cmp(key)),
        }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.pairs.get(self.place(key).ok()?).map(|(_, value)| value)
    }

    /// Whether the key is here.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Gives the key this value in the place of any other; says whether it is new here.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        match self.place(&key) {
            Ok(at) => {
                if let Some(pair) = self.pairs.get_mut(at) {
                    pair.1 = value;
                }
                false
            }
            Err(at) => {
                self.pairs.insert(at, (key, value));
                true
            }
        }
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.pairs.iter().map(|(key, _)| key)
    }

    /// Keys with their values, in order.
    pub fn as_slice(&self) -> &[(K, V)] {
        &self.pairs
    }

    /// Keys with their values, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (K, V)> {
        self.pairs.iter()
    }
}

/// Keys alone.
pub struct Set<K> {
    keys: Map<K, ()>,
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self { keys: Map::default() }
    }
}

impl<K: Ord> Set<K> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the key is here.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.keys.contains_key(key)
    }

    /// Adds a key; says whether it is new here.
    pub fn insert(&mut self, key: K) -> bool {
        self.keys.insert(key, ())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.keys.keys()
    }
}

impl<K: Ord> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K: Ord> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::default();
        set.extend(keys);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_order_whatever_order_they_came_in() {
        let mut map = Map::default();
        for (key, new) in [(5, true), (1, true), (9, true), (5, false), (3, true)] {
            assert_eq!(map.insert(key, key * 10), new, "{key}");
        }
        assert_eq!(map.keys().copied().collect::<Vec<_>>(), [1, 3, 5, 9]);
        assert_eq!((map.len(), map.get(&9), map.get(&4), map.contains_key(&1)), (4, Some(&90), None, true));
        map.insert(9, 7);
        assert_eq!(map.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [10, 30, 50, 7]);
    }

    #[test]
    fn a_set_holds_every_key_once() {
        let mut set: Set<&str> = ["b", "a", "b", "c", "a"].into_iter().collect();
        assert_eq!(set.iter().copied().collect::<String>(), "abc");
        assert!(set.insert("aa") && !set.insert("c"));
        assert_eq!(
            (set.len(), set.contains("aa"), set.contains("d"), set.is_empty()),
            (4, true, false, false)
        );
    }
}
