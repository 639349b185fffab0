//! Which known name was probably meant by one that is not known.

/// Typing errors up to this many letters are guessed.
const CLOSE: usize = 2;

/// The known name that is written alike, but for case, `_` and `-`; else the nearest one, where half of it is right.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    let near = known.into_iter().map(|known| {
        let other = fold(known);
        (strsim::damerau_levenshtein(&folded, &other), other.chars().count(), known)
    });
    let near = near.filter(|(distance, length, _)| *distance <= CLOSE && distance * 2 <= *length);
    near.min_by_key(|(distance, _, known)| (*distance, *known)).map(|(.., known)| known)
}

fn fold(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '_' | '-'));
    // What is longer is no name: comparing takes the product of both lengths.
    letters.take(64).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_right_is_recognised() {
        let known = ["name", "expiresIn", "expiresAt", "status", "limit", "to"];
        for (name, meant) in [
            ("Name", Some("name")),
            ("expires_in", Some("expiresIn")),
            ("EXPIRES-AT", Some("expiresAt")),
            ("state", Some("status")),
            ("nmae", Some("name")),
            ("limits", Some("limit")),
            ("x", None),
            ("", None),
            ("tags", None),
            ("expiration", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        assert_eq!(nearest(&"n".repeat(100_000), known), None);
    }
}
