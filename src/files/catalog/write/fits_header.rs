//! Headers of FITS files as cards of 80 characters (FITS standard 4.0, section 4).

use std::fmt::Display;

/// Characters of a card.
const CARD: usize = 80;
/// Cards of a block.
const BLOCK: usize = 36;
/// Characters of a text in one card, between its quotes, behind a keyword of eight characters.
const TEXT: usize = 68;
/// Characters of a commentary card behind its keyword.
const COMMENTARY: usize = 72;

/// A header in the making.
#[derive(Debug, Default)]
pub(super) struct Header {
    cards: Vec<u8>,
}

impl Header {
    pub fn logical(&mut self, key: &str, value: bool, comment: &str) {
        self.value(key, if value { "T" } else { "F" }, comment);
    }

    pub fn integer(&mut self, key: &str, value: impl Display, comment: &str) {
        self.value(key, &value.to_string(), comment);
    }

    /// A finite number; the standard has no other.
    pub fn real(&mut self, key: &str, value: f64, comment: &str) {
        self.value(key, &format!("{value:?}").replace('e', "E"), comment);
    }

    fn value(&mut self, key: &str, value: &str, comment: &str) {
        let key = keyword(key);
        self.card(&format!("{key}{value:>20}"), comment);
    }

    /// A text of any length, which goes on in `CONTINUE` cards where one is too short.
    pub fn text(&mut self, key: &str, text: &str, comment: &str) {
        let mut start = keyword(key);
        let quoted = printable(text).replace('\'', "''");
        let mut rest = quoted.trim_end();
        loop {
            let room = (TEXT + 10).saturating_sub(start.len());
            if rest.len() <= room {
                let quoted = format!("'{rest:8}'");
                break self.card(&format!("{start}{quoted:20}"), comment);
            }
            // Room for `&`, and both quotes of one that is within the text on the same card.
            let mut end = room - 1;
            let quotes = rest[..end].bytes().rev().take_while(|byte| *byte == b'\'');
            end -= quotes.count() % 2;
            self.card(&format!("{start}'{}&'", &rest[..end]), "");
            rest = &rest[end..];
            start = "CONTINUE  ".to_owned();
        }
    }

    /// Words about the table.
    pub fn comment(&mut self, text: &str) {
        let text = printable(text);
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > COMMENTARY {
                self.card(&format!("COMMENT {line}"), "");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
            while line.len() > COMMENTARY {
                let rest = line.split_off(COMMENTARY);
                self.card(&format!("COMMENT {line}"), "");
                line = rest;
            }
        }
        if !line.is_empty() {
            self.card(&format!("COMMENT {line}"), "");
        }
    }

    /// A card, with a comment in it where that has room, else behind it.
    fn card(&mut self, content: &str, comment: &str) {
        let comment = printable(comment);
        let with = format!("{content} / {comment}");
        let card = match comment.is_empty() || with.len() > CARD {
            true => content,
            false => &with,
        };
        self.cards.extend(format!("{card:CARD$}").bytes());
        if card == content && !comment.is_empty() {
            self.comment(&comment);
        }
    }

    /// The header as it stands in the file.
    pub fn finished(mut self) -> Vec<u8> {
        self.card("END", "");
        let bytes = self.cards.len().next_multiple_of(BLOCK * CARD);
        self.cards.resize(bytes, b' ');
        self.cards
    }
}

/// A keyword with the sign behind it: of eight characters at most, or else by the HIERARCH convention.
fn keyword(key: &str) -> String {
    let key = printable(key).to_ascii_uppercase();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match key.len() <= 8 && key.bytes().all(is_allowed) {
        true => format!("{key:8}= "),
        false => format!("HIERARCH {key} = "),
    }
}

/// What a header may hold: the printable characters of ASCII.
pub(super) fn printable(text: &str) -> String {
    let one = |letter: char| match letter {
        ' '..='~' => letter,
        '\t' | '\n' | '\r' => ' ',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{2013}' | '\u{2212}' => '-',
        _ => '?',
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_go_on_and_quotes_stay_together() {
        let text: String = "it's ''all'' quoted ".repeat(30);
        let mut header = Header::default();
        header.text("TCOMM1", &text, "words");
        header.text("grid of redshifts", &"'".repeat(99), "");
        let cards = header.finished();
        let mut found = [String::new(), String::new()];
        let mut which = 0;
        for card in cards.chunks(CARD) {
            let card = std::str::from_utf8(card).unwrap();
            which += usize::from(card.starts_with("HIERARCH"));
            let Some((first, last)) = card.find('\'').zip(card.rfind('\'')) else {
                continue;
            };
            let content = &card[first + 1..last];
            // As a reader goes through it: a quote within stands for two.
            let mut pieces = content.split("''");
            assert!(pieces.all(|piece| !piece.contains('\'')), "{card}");
            found[which] += content.trim_end_matches('&');
        }
        assert_eq!(found[0].replace("''", "'"), text.trim_end());
        assert_eq!(found[1].replace("''", "'"), "'".repeat(99));
        assert!(cards.len().is_multiple_of(BLOCK * CARD));
    }

    #[test]
    fn numbers_are_written_so_that_they_stay_what_they_are() {
        let mut header = Header::default();
        header.real("STEP", 5.0, "");
        header.real("SMALL", 1e-7, "");
        header.integer("LARGE", u64::MAX, "");
        let cards = String::from_utf8(header.finished()).unwrap();
        for (key, value) in [
            ("STEP", "5.0"),
            ("SMALL", "1E-7"),
            ("LARGE", "18446744073709551615"),
        ] {
            assert!(cards.contains(&format!("{key:8}= {value:>20} ")), "{cards}");
        }
    }
}
