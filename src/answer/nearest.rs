//! The known word that an unknown one was probably meant to be.

/// The word of `known` with the smallest edit distance to `word`, if it is near enough to be a slip.
pub(super) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    // Longer words are no slips of ours, and the distance costs length times length.
    if word.len() > 40 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace(['_', ' '], "-");
    let allowed = (word.len() / 3).clamp(1, 3);
    known
        .iter()
        .map(|&candidate| (distance(&word, candidate), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance over bytes.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (1..=to.len()).collect();
    for (index, x) in from.bytes().enumerate() {
        let (mut left, mut diagonal) = (index + 1, index);
        for (cell, y) in row.iter_mut().zip(to.bytes()) {
            let up = *cell;
            left = (diagonal + usize::from(x != y)).min(up + 1).min(left + 1);
            diagonal = up;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_letters() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("port", "port"), 0);
    }

    #[test]
    fn a_slip_finds_its_word_and_something_else_does_not() {
        let known = ["port", "root-login", "allow-users"];
        assert_eq!(nearest("prot", &known), None, "two letters of four are no slip");
        assert_eq!(nearest("porrt", &known), Some("port"));
        assert_eq!(nearest("Root_Login", &known), Some("root-login"));
        assert_eq!(nearest("allow-user", &known), Some("allow-users"));
        assert_eq!(nearest("banana", &known), None);
        assert_eq!(nearest(&"x".repeat(100_000), &known), None);
    }
}
