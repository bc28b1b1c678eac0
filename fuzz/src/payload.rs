//! What stands behind an executable.

use crate::input::Input;
use firstlight::objects::ObjectId;
use firstlight::payload::{OVERHEAD, Sealed, executable, is_executable, seal, unseal};

/// Any bytes; any headers of an executable; any payload behind one, with the right checksum or not.
pub fn payload(data: &[u8]) {
    let mut input = Input::new(data);
    let file = match input.below(4) {
        0 => input.rest().to_vec(),
        1 => headers(&mut input),
        kind => {
            let mut file = tiny_elf();
            trailer(&mut file, &mut input, kind == 2);
            file
        }
    };
    let found = unseal(&file);
    assert!(file.starts_with(executable(&file)), "the executable is not the beginning of the file");
    if is_executable(&file) {
        let answer = file.get(..file.len() / 2).unwrap_or_default();
        let sealed = seal(&file, answer);
        assert!(
            matches!(unseal(&sealed), Sealed::Answer(found) if found == answer),
            "a sealed answer is lost"
        );
        assert!(executable(&sealed) == executable(&file), "sealing changes the executable");
        assert!(sealed.len() == executable(&file).len() + answer.len() + OVERHEAD);
        assert!(seal(&sealed, answer) == sealed, "sealing twice is not sealing once");
    }
    if let Sealed::Answer(answer) = found {
        assert!(seal(&file, answer) == file, "an answer is found in what nobody sealed");
    }
}

/// The smallest executable with every header where its readers look, and 64 words of the input over it.
fn headers(input: &mut Input<'_>) -> Vec<u8> {
    let mut file = tiny_elf();
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let (place, length) = (input.below(224), input.below(9));
        let bytes = input.bytes(length);
        for (target, byte) in file.iter_mut().skip(place).zip(bytes) {
            *target = *byte;
        }
    }
    if file.starts_with(b"\x7fELF") { file } else { tiny_elf() }
}

fn trailer(file: &mut Vec<u8>, input: &mut Input<'_>, right: bool) {
    let start = b"\nfirstlight<answ";
    let (cut, version, length) = (input.below(20), input.byte(), input.number());
    let answer = input.rest();
    file.extend_from_slice(start.get(..16 - cut.saturating_sub(4).min(16)).unwrap_or_default());
    let from = file.len();
    file.extend_from_slice(answer);
    file.extend_from_slice(&u32::from(version % 3).to_le_bytes());
    let length = if right { answer.len() as u64 } else { length };
    file.extend_from_slice(&length.to_le_bytes());
    let sum = ObjectId::of(file.get(from..).unwrap_or_default()).to_string();
    let digits = sum.as_bytes().chunks_exact(2);
    file.extend(digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()));
    file.extend_from_slice(b"er>firstlight.\n\n");
}

/// An ELF header, one program header, 40 bytes, one section header.
fn tiny_elf() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01".to_vec();
    file.resize(224, 0);
    let mut put = |at: usize, bytes: &[u8]| {
        for (target, byte) in file.iter_mut().skip(at).zip(bytes) {
            *target = *byte;
        }
    };
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
