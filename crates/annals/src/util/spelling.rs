//! The distance between two names, so that an error about an unknown name can suggest a similar one.

/// Returns the Levenshtein distance: the least number of characters that must be inserted, removed or replaced to turn
/// `a` into `b`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, left) in a.chars().zip(1..) {
        let mut diagonal = std::mem::replace(&mut row[0], left);
        for (at, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(above != *other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_least_number_of_changes() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("seat-sold", "seat-sold", 0),
            ("seat-sld", "seat-sold", 1),
            ("saet-sold", "seat-sold", 2),
            ("kitten", "sitting", 3),
            ("ä", "a", 1),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
