//! The answer sealed into an executable: `EXECUTABLE START ANSWER TRAILER`, where the trailer is version, length,
//! SHA-256 and an end mark.
//!
//! Where the executable ends is read from its ELF headers, so that whatever stands behind it is either a whole
//! payload or damage. One cut cannot be seen: the one exactly at the executable's end.

use sha2::{Digest, Sha256};

/// What PVE's installer takes as first-boot executable; exactly so many bytes are allowed.
pub const MOST_BYTES: usize = 1_048_576;

/// ELF, 64 bits, little-endian.
const MAGIC: &[u8; 6] = b"\x7fELF\x02\x01";
const START: &[u8; 16] = b"\nfirstlight<answ";
const END: &[u8; 16] = b"er>firstlight.\n\n";
const VERSION: u32 = 1;
const TRAILER: usize = 4 + 8 + 32 + END.len();

const CUT: &str = "the sealed answer is cut short or bytes of it are changed; bake the executable again";
const OTHER: &str = "the sealed answer has another version's form; bake it with the executable that it is in";
const SHORT: &str = "the executable is cut short; copy it again";

/// What stands behind an executable.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub enum Sealed<'a> {
    /// Nothing.
    None,
    /// A whole answer.
    Answer(&'a [u8]),
    /// Something else; what is wrong and what to do.
    Damaged(&'static str),
}

/// `executable` with `answer` behind it; a payload that is there already is replaced.
pub fn seal(executable: &[u8], answer: &[u8]) -> Vec<u8> {
    let mut file = self::executable(executable).to_vec();
    file.extend_from_slice(START);
    file.extend_from_slice(answer);
    let head = head(VERSION, answer.len() as u64);
    file.extend_from_slice(&head);
    file.extend_from_slice(&digest(answer, &head));
    file.extend_from_slice(END);
    file
}

/// Looks behind the executable.
pub fn unseal(file: &[u8]) -> Sealed<'_> {
    let rest = match elf_length(file).map(|length| file.get(length..)) {
        Some(Some([])) => return Sealed::None,
        Some(Some(rest)) => rest,
        None if !file.starts_with(MAGIC) => return Sealed::None,
        Some(None) | None => return Sealed::Damaged(SHORT),
    };
    let body = rest.strip_prefix(START).and_then(|rest| rest.strip_suffix(END));
    let parts = body.and_then(|body| body.split_last_chunk::<32>());
    let parts = parts.and_then(|(body, sum)| Some((body.split_last_chunk::<12>()?, sum)));
    let Some(((answer, head), sum)) = parts else { return Sealed::Damaged(CUT) };
    if digest(answer, head) != *sum {
        return Sealed::Damaged(CUT);
    }
    // Both are covered by the sum: they differ only where another version wrote them.
    if *head != self::head(VERSION, answer.len() as u64) {
        return Sealed::Damaged(OTHER);
    }
    Sealed::Answer(answer)
}

/// The executable without what stands behind it.
pub fn executable(file: &[u8]) -> &[u8] {
    elf_length(file).and_then(|length| file.get(..length)).unwrap_or(file)
}

/// Whether `file` is an ELF executable of a form that can carry a payload.
pub fn is_executable(file: &[u8]) -> bool {
    elf_length(file).is_some_and(|length| length <= file.len())
}

/// Bytes that `seal` adds to those of the answer.
pub const OVERHEAD: usize = START.len() + TRAILER;

fn head(version: u32, length: u64) -> [u8; 12] {
    let mut head = [0; 12];
    let bytes = version.to_le_bytes().into_iter().chain(length.to_le_bytes());
    for (place, byte) in head.iter_mut().zip(bytes) {
        *place = byte;
    }
    head
}

fn digest(answer: &[u8], head: &[u8; 12]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(answer);
    hash.update(head);
    hash.finalize().into()
}

/// Where a little-endian 64-bit ELF file ends: behind its last segment, section or header table. `None` for
/// anything else.
fn elf_length(file: &[u8]) -> Option<usize> {
    if !file.starts_with(MAGIC) {
        return None;
    }
    let programs = Headers { at: long(file, 32)?, size: short(file, 54)?, count: short(file, 56)? };
    let sections = Headers { at: long(file, 40)?, size: short(file, 58)?, count: short(file, 60)? };
    // A shorter header would be read beyond the end of its table, and of the executable.
    if programs.count > 0 && programs.size < 56 || sections.count > 0 && sections.size < 64 {
        return None;
    }
    let mut end = programs.end()?.max(sections.end()?).max(64);
    for header in programs.starts() {
        // p_offset and p_filesz.
        end = end.max(long_at(file, header, 8)?.checked_add(long_at(file, header, 32)?)?);
    }
    for header in sections.starts() {
        // SHT_NOBITS has a size, but no bytes in the file. sh_offset and sh_size.
        if long_at(file, header, 0)? >> 32 != 8 {
            end = end.max(long_at(file, header, 24)?.checked_add(long_at(file, header, 32)?)?);
        }
    }
    usize::try_from(end).ok()
}

/// A header table of an ELF file.
struct Headers {
    at: u64,
    size: u64,
    count: u64,
}

impl Headers {
    fn end(&self) -> Option<u64> {
        // At most 65535 times 65535.
        self.at.checked_add(self.size * self.count).filter(|_| self.count > 0).or(Some(0))
    }

    fn starts(&self) -> impl Iterator<Item = u64> {
        let (at, size) = (self.at, self.size);
        (0..self.count).map(move |index| at.saturating_add(index * size))
    }
}

fn long_at(file: &[u8], start: u64, offset: u64) -> Option<u64> {
    long(file, usize::try_from(start.checked_add(offset)?).ok()?)
}

fn long(file: &[u8], at: usize) -> Option<u64> {
    file.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn short(file: &[u8], at: usize) -> Option<u64> {
    file.get(at..)?.first_chunk().map(|bytes| u64::from(u16::from_le_bytes(*bytes)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An ELF header, one program header, 40 bytes, one section header; and nothing that could run.
    pub(crate) fn tiny_elf() -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.resize(224, 0);
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(32, &64_u64.to_le_bytes());
        put(40, &160_u64.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &1_u16.to_le_bytes());
        put(58, &64_u16.to_le_bytes());
        put(60, &1_u16.to_le_bytes());
        put(64 + 32, &160_u64.to_le_bytes());
        put(160 + 24, &64_u64.to_le_bytes());
        put(160 + 32, &40_u64.to_le_bytes());
        file
    }

    #[test]
    fn a_sealed_answer_comes_out_as_it_went_in() {
        let elf = tiny_elf();
        for answer in [b"".as_slice(), b"x", b"[firstlight]\nschema = 1\n", &[0; 5000]] {
            let sealed = seal(&elf, answer);
            assert_eq!(sealed.len(), elf.len() + answer.len() + OVERHEAD);
            assert_eq!(unseal(&sealed), Sealed::Answer(answer));
            assert_eq!(executable(&sealed), elf);
            assert_eq!(seal(&sealed, b"other"), seal(&elf, b"other"));
        }
        assert_eq!(unseal(&elf), Sealed::None);
        assert_eq!(unseal(b""), Sealed::None);
        assert_eq!(unseal(b"#!/bin/sh\n"), Sealed::None);
    }

    #[test]
    fn every_cut_of_a_sealed_answer_is_damage() {
        let elf = tiny_elf();
        let sealed = seal(&elf, b"[firstlight]\nschema = 1\n");
        for length in MAGIC.len()..sealed.len() {
            // The cut at the executable's very end leaves an executable like any other.
            let whole = length == elf.len();
            assert_eq!(matches!(unseal(&sealed[..length]), Sealed::Damaged(_)), !whole, "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_behind_the_executable_is_damage() {
        let elf = tiny_elf();
        let mut sealed = seal(&elf, b"[firstlight]\nschema = 1\n");
        for bit in elf.len() * 8..sealed.len() * 8 {
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(unseal(&sealed), Sealed::Damaged(_)), "{bit}");
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        sealed.push(0);
        assert!(matches!(unseal(&sealed), Sealed::Damaged(_)));
    }

    #[test]
    fn another_version_is_told_apart_from_damage() {
        let mut file = tiny_elf();
        let head = head(2, 1);
        file.extend_from_slice(START);
        file.extend_from_slice(b"x");
        file.extend_from_slice(&head);
        file.extend_from_slice(&digest(b"x", &head));
        file.extend_from_slice(END);
        assert_eq!(unseal(&file), Sealed::Damaged(OTHER));
    }

    #[test]
    fn no_header_of_an_executable_panics() {
        let elf = tiny_elf();
        for at in 0..elf.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut file = seal(&elf, b"x");
                file[at] = byte;
                let _ = (unseal(&file), executable(&file), is_executable(&file));
            }
        }
        let mut worst = elf;
        worst[32..64].fill(0xff);
        assert!(!is_executable(&worst));
    }

    #[test]
    fn the_test_binary_itself_ends_where_its_headers_say() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(unseal(&file), Sealed::None);
        assert_eq!(executable(&file).len(), file.len());
    }
}
