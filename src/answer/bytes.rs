//! What is looked at before TOML: size, encoding, line ends.

use super::Problem;

/// Nothing that a person writes comes near it; a bigger file is not an answer and is not parsed.
const MOST_BYTES: usize = 1024 * 1024;

/// The text of an answer, or the one thing that keeps it from being read.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > MOST_BYTES {
        let message = format!("has {} bytes; an answer has at most {MOST_BYTES}", bytes.len());
        return Err(Problem { line: 1, column: 1, key: String::new(), message });
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let advice = "starts with a byte order mark; save it as plain UTF-8 (\"UTF-8 without BOM\")";
        return Err(problem_behind("", advice));
    }
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).and_then(|good| str::from_utf8(good).ok());
            return Err(problem_behind(
                good.unwrap_or_default(),
                "is not UTF-8 from here on; save it as UTF-8",
            ));
        }
    };
    match text.split_once('\r') {
        Some((before, _)) => Err(problem_behind(
            before,
            "the line ends in CR LF, as on Windows; save it with LF line ends (`dos2unix FILE`)",
        )),
        None => Ok(text),
    }
}

fn problem_behind(before: &str, message: &str) -> Problem {
    let (line, column) = super::place::Cursor::new(before).at(before.len());
    Problem { line, column, key: String::new(), message: message.to_owned() }
}
