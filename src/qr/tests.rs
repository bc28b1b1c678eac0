//! Codes are read back by `zbarimg` (Debian's zbar-tools): without it these tests fail.

use super::*;
use std::process::Command;

fn decoded(code: &Code) -> String {
    let side = code.size() + 8;
    let light = |x: usize, y: usize| !code.is_dark(x.wrapping_sub(4), y.wrapping_sub(4));
    let rows: Vec<Vec<bool>> = (0..side).map(|y| (0..side).map(|x| light(x, y)).collect()).collect();
    decoded_image(&rows)
}

/// An image of light and dark, eight pixels each, as a PGM file, read by zbar.
pub fn decoded_image(rows: &[Vec<bool>]) -> String {
    const SCALE: usize = 8;
    let mut image = format!("P5\n{} {}\n255\n", rows[0].len() * SCALE, rows.len() * SCALE).into_bytes();
    for row in rows {
        let line: Vec<u8> = row.iter().flat_map(|light| [if *light { 255 } else { 0 }; SCALE]).collect();
        (0..SCALE).for_each(|_| image.extend_from_slice(&line));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("code.pgm");
    std::fs::write(&path, image).unwrap();
    let mut zbarimg = Command::new("zbarimg");
    let output = zbarimg.args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]).arg(&path).output();
    let output = output.expect("this test needs zbarimg: apt-get install zbar-tools");
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}

pub fn uri(length: usize) -> String {
    let text = "otpauth://totp/pve1:root@pam?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=";
    text.chars().cycle().take(length).collect()
}

#[test]
fn c2_codes_of_every_length_are_read_back() {
    for length in [1, 17, 62, 77, 78, 79, 90, 106] {
        let text = uri(length);
        let code = Code::of(text.as_bytes()).unwrap();
        assert_eq!(code.size(), if length <= 78 { 33 } else { 37 }, "{length}");
        assert_eq!(decoded(&code), text);
    }
    assert!(Code::of(uri(107).as_bytes()).is_none());
    assert!(Code::of(b"").is_none(), "a token has no code");
}

#[test]
fn c2_a_code_with_any_mask_is_read_back() {
    let text = uri(78);
    let mut words = codewords(text.as_bytes(), 80);
    words.extend(remainder(&words.clone(), 20));
    let mut blank = Code::blank(4);
    blank.fill(&words);
    for mask in 0..8 {
        assert_eq!(decoded(&blank.masked(mask)), text, "mask {mask}");
    }
}

#[test]
fn c2_the_check_words_are_those_of_the_standards_example() {
    // ISO/IEC 18004, annex I: version 1-M, "01234567".
    let words = [16, 32, 12, 86, 97, 128, 236, 17, 236, 17, 236, 17, 236, 17, 236, 17];
    assert_eq!(remainder(&words, 10), [165, 36, 212, 193, 237, 54, 199, 135, 44, 85]);
}

#[test]
fn c2_random_bytes_never_panic_and_stay_within_the_square() {
    let mut seed = 7_u32;
    for length in 0..130 {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        if let Some(code) = Code::of(&bytes) {
            assert!(!code.is_dark(code.size(), 0) && !code.is_dark(0, code.size()));
            assert!(code.is_dark(0, 0) && code.is_dark(8, code.size() - 8));
        }
    }
}
