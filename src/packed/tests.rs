//! What comes out is what stands in the files.

#[test]
fn a_packed_text_is_the_file() {
    let files = [
        (packed!("settings.txt"), include_str!("../areas/kernel/settings.txt")),
        (packed!("options.txt"), include_str!("../areas/ssh/options.txt")),
        (packed!("cis.txt"), include_str!("../audit/cis.txt")),
        (packed!("help.txt"), include_str!("../cli/help.txt")),
        (packed!("break_glass.txt"), include_str!("../report/break_glass.txt")),
        (packed!("questions.txt"), include_str!("../wizard/questions.txt")),
    ];
    for (text, file) in files {
        assert!(text == file, "{text}");
    }
}

#[test]
fn packing_is_worth_it() {
    let file = include_str!("../cli/help.txt").len();
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/help.txt")).len();
    assert!(packed * 100 < file * 65, "{packed} of {file} bytes");
}
