//! Text that Cowhand did not write, on its way to people: made safe for a terminal here, and cut
//! here.

use std::borrow::Cow;

/// Bytes of one text of somebody else's that the host keeps, and of one line that a person is
/// shown.
pub const MOST_OF_A_TEXT: usize = 4 << 10;

/// Returns true if a character shows as itself and changes nothing around it. Controls do not, and
/// neither do characters without width, those that turn the direction of writing, and separators of
/// lines.
pub fn is_plain(character: char) -> bool {
    let hidden = matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !hidden && !character.is_control()
}

/// Writes every character that is not plain as an escape, `\u{1b}`, the ends of lines too. A tab
/// stays: it only leaves room.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_safe) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    text.chars().for_each(|character| push(&mut shown, character));
    shown.into()
}

/// Returns a text as one line, escaped and cut.
pub fn line(text: &str) -> String {
    let mut shown = String::new();
    for (at, character) in text.char_indices() {
        if shown.len() >= MOST_OF_A_TEXT {
            return and_more(&shown, text.len() - at);
        }
        push(&mut shown, character);
    }
    shown
}

/// Cuts a text, and says so at its end.
pub fn cut(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let end = text.floor_char_boundary(most);
    and_more(&text[..end], text.len() - end)
}

fn is_safe(character: char) -> bool {
    character == '\t' || is_plain(character)
}

fn push(shown: &mut String, character: char) {
    if is_safe(character) {
        shown.push(character);
    } else {
        shown.extend(character.escape_unicode());
    }
}

fn and_more(shown: &str, bytes: usize) -> String {
    format!("{shown} … ({bytes} bytes more)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_play_with_a_terminal_is_shown_as_escapes() {
        assert_eq!(escaped("a\u{1b}[2J\r\n"), "a\\u{1b}[2J\\u{d}\\u{a}");
        for hidden in "\0\u{7}\u{7f}\u{9b}\u{200b}\u{200d}\u{2028}\u{202e}\u{2066}\u{feff}".chars()
        {
            let shown = escaped(&format!("a{hidden}b")).into_owned();
            assert!(shown.starts_with("a\\u{") && shown.chars().all(is_plain), "{shown}");
        }
        assert_eq!(escaped("\tZoë – 日本 ✔ \\"), "\tZoë – 日本 ✔ \\");
    }

    #[test]
    fn a_line_is_short_however_long_the_text() {
        assert_eq!(line("short"), "short");
        for text in ["x".repeat(1 << 20), "\u{1b}".repeat(1 << 20), "é".repeat(1 << 20)] {
            let line = line(&text);
            assert!(line.len() < MOST_OF_A_TEXT + 100, "{}", line.len());
            assert!(line.ends_with(" bytes more)") && line.chars().all(is_plain));
        }
        assert_eq!(cut("abcdef".to_owned(), 4), "abcd … (2 bytes more)");
    }
}
