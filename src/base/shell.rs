//! Words as a shell takes them, for commands that are shown to be typed.

use std::path::Path;

/// A word as it is typed: in quotes where it holds blanks or what means something to a shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./=,:+@%~".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The command that goes on with the run of a stage in a folder.
pub fn resuming(stage: &str, run: &Path) -> String {
    let run = quoted(&run.display().to_string());
    format!("astroclip {stage} --resume --out {run}")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_that_a_shell_would_split_are_quoted() {
        for (word, expected) in [
            ("data/a-1.h5", "data/a-1.h5"),
            ("log M*", "'log M*'"),
            ("it's", r"'it'\''s'"),
            ("cat.h5[photo z]", "'cat.h5[photo z]'"),
            ("südlich/é.csv", "südlich/é.csv"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
