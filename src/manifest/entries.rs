//! The entries of a manifest, in the order of paths. Two manifests of one place are nearly the same: what is equal in
//! both is one piece of memory, so that a way back through a hundred thousand files holds them once.

use super::Entry;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Entries by path, sorted. Whoever adds them in order adds them fast.
#[derive(Default, Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub struct Entries(Vec<Rc<(PathBuf, Entry)>>);

impl Entries {
    fn find(&self, path: &Path) -> Result<usize, usize> {
        match self.0.last() {
            Some(last) if last.0.as_path() >= path => self.0.binary_search_by(|it| it.0.as_path().cmp(path)),
            _ => Err(self.0.len()),
        }
    }

    /// What is recorded at `path`.
    pub fn get(&self, path: &Path) -> Option<&Entry> {
        self.0.get(self.find(path).ok()?).map(|it| &it.1)
    }

    /// The same, with the path as it is kept here.
    pub fn get_key_value(&self, path: &Path) -> Option<(&Path, &Entry)> {
        self.0.get(self.find(path).ok()?).map(|it| (it.0.as_path(), &it.1))
    }

    /// Whether anything is recorded at `path`.
    pub fn contains_key(&self, path: &Path) -> bool {
        self.find(path).is_ok()
    }

    /// Records it, in the place of what was recorded there.
    pub fn insert(&mut self, path: PathBuf, entry: Entry) {
        self.put(Rc::new((path, entry)));
    }

    fn put(&mut self, new: Rc<(PathBuf, Entry)>) {
        match self.find(&new.0) {
            Ok(place) => {
                if let Some(old) = self.0.get_mut(place) {
                    *old = new;
                }
            }
            Err(place) => self.0.insert(place, new),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Entry)> {
        self.0.iter().map(|it| (&it.0, &it.1))
    }

    /// All paths, in order.
    pub fn keys(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().map(|it| &it.0)
    }

    /// All states, in the order of their paths.
    pub fn values(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().map(|it| &it.1)
    }

    /// Changes those that `which` likes; they are shared no longer.
    pub fn change(&mut self, which: &dyn Fn(&Entry) -> bool, change: &mut dyn FnMut(&mut Entry)) {
        for it in self.0.iter_mut().filter(|it| which(&it.1)) {
            change(&mut Rc::make_mut(it).1);
        }
    }

    /// What was added last comes first.
    pub(super) fn reverse(&mut self) {
        self.0.reverse();
    }

    /// Entries as they were added, in any order: the last one of a path counts.
    pub(super) fn sort(&mut self) {
        if !self.0.is_sorted_by(|one, other| one.0 < other.0) {
            for entry in std::mem::take(&mut self.0) {
                self.put(entry);
            }
        }
    }
}

/// Another manifest of the same place, to share with; asked in its order, forwards or backwards.
pub(super) struct Like<'a> {
    entries: &'a [Rc<(PathBuf, Entry)>],
    at: usize,
}

impl<'a> Like<'a> {
    pub fn new(other: Option<&'a super::Manifest>) -> Self {
        Self { entries: other.map_or(&[], |other| &other.entries.0), at: 0 }
    }

    /// Adds the entry at the end, or the other manifest's own if that is the same.
    pub fn push(&mut self, entries: &mut Entries, path: PathBuf, entry: Entry) {
        let shared = self.find(&path).filter(|it| it.1 == entry).map(Rc::clone);
        entries.0.push(shared.unwrap_or_else(|| Rc::new((path, entry))));
    }

    fn find(&mut self, path: &Path) -> Option<&'a Rc<(PathBuf, Entry)>> {
        let entries = self.entries;
        let near = [self.at + 1, self.at.wrapping_sub(1)].into_iter();
        let mut near = near.filter(|at| entries.get(*at).is_some_and(|it| it.0 == path));
        self.at = match near.next() {
            Some(at) => at,
            None => entries.binary_search_by(|it| it.0.as_path().cmp(path)).ok()?,
        };
        entries.get(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Manifest, State};
    use super::*;

    fn entry(mode: u32) -> Entry {
        Entry { state: State::Directory, mode, ..Entry::absent() }
    }

    fn of(entries: &[(&str, u32)]) -> Manifest {
        let mut manifest = Manifest::default();
        entries.iter().for_each(|(path, mode)| manifest.entries.insert(path.into(), entry(*mode)));
        manifest
    }

    fn seen(entries: &Entries) -> Vec<(&str, u32)> {
        entries.iter().map(|(path, entry)| (path.to_str().unwrap(), entry.mode)).collect()
    }

    #[test]
    fn entries_are_in_the_order_of_paths_whatever_order_they_came_in() {
        let manifest = of(&[("/b", 1), ("/a/c", 2), ("/a", 3), ("/a.d", 4), ("/b", 5)]);
        assert_eq!(seen(&manifest.entries), [("/a", 3), ("/a/c", 2), ("/a.d", 4), ("/b", 5)]);
        assert_eq!(manifest.entries.get(Path::new("/a.d")), Some(&entry(4)));
        assert!(manifest.entries.get(Path::new("/a.e")).is_none() && !manifest.entries.is_empty());
        let mut added = Entries::default();
        let mut like = Like::new(None);
        for (path, mode) in [("/b", 1), ("/a", 2), ("/b", 3), ("/c", 4), ("/a/b", 5)] {
            like.push(&mut added, path.into(), entry(mode));
        }
        added.sort();
        assert_eq!(seen(&added), [("/a", 2), ("/a/b", 5), ("/b", 3), ("/c", 4)]);
    }

    #[test]
    fn what_is_equal_in_two_manifests_is_one_piece_of_memory_and_a_change_parts_them() {
        let before = of(&[("/a", 1), ("/b", 2), ("/c", 3), ("/d", 4)]);
        for backwards in [false, true] {
            let mut order = [("/a", 1), ("/b", 7), ("/c", 3), ("/d", 4), ("/e", 5)];
            if backwards {
                order.reverse();
            }
            let (mut after, mut like) = (Entries::default(), Like::new(Some(&before)));
            order.iter().for_each(|(path, mode)| like.push(&mut after, path.into(), entry(*mode)));
            if backwards {
                after.reverse();
            }
            let same = |at: usize, other: usize| Rc::ptr_eq(&before.entries.0[at], &after.0[other]);
            assert!(same(0, 0) && !same(1, 1) && same(2, 2) && same(3, 3), "backwards: {backwards}");
            after.change(&|entry| entry.mode == 3, &mut |entry| entry.mode = 9);
            assert_eq!(seen(&after), [("/a", 1), ("/b", 7), ("/c", 9), ("/d", 4), ("/e", 5)]);
            assert_eq!(before.entries.get(Path::new("/c")), Some(&entry(3)), "the other one keeps its own");
        }
    }

    #[test]
    fn a_manifest_that_is_read_beside_another_is_what_it_is_alone() {
        let (one, other) = (of(&[("/a", 1), ("/a/b", 2), ("/c", 3)]), of(&[("/a", 1), ("/b", 2), ("/c", 4)]));
        let text = other.encode();
        let read = Manifest::take(text.clone(), Some(&one)).unwrap();
        assert!(read == other && read == Manifest::decode(&text).unwrap());
        assert!(Rc::ptr_eq(&one.entries.0[0], &read.entries.0[0]));
    }
}
