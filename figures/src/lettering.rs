//! Text: how wide it is, how it is shortened, and how it is written into XML.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// The regular and the bold face, with widths in thousandths of the letter size.
static FACES: LazyLock<[Face; 2]> = LazyLock::new(|| [dejavu::sans::regular(), dejavu::sans::bold()].map(Face::new));

/// What a character that the font lacks is taken to be wide: a full square, as Chinese characters are.
const WIDE: f64 = 1000.0;

struct Face {
    font: FontRef<'static>,
    /// Of the characters up to U+00FF, which is nearly all of them.
    widths: [f64; 256],
}

impl Face {
    fn new(bytes: &'static [u8]) -> Self {
        let font = FontRef::new(bytes).expect("the embedded font is one");
        let widths = std::array::from_fn(|code| char::from_u32(code as u32).map_or(WIDE, |letter| looked_up(&font, letter)));
        Self { font, widths }
    }

    fn width(&self, letter: char) -> f64 {
        self.widths.get(letter as usize).copied().unwrap_or_else(|| looked_up(&self.font, letter))
    }
}

fn looked_up(font: &FontRef<'_>, letter: char) -> f64 {
    let metrics = font.glyph_metrics(Size::new(1000.0), LocationRef::default());
    font.charmap().map(letter).and_then(|glyph| metrics.advance_width(glyph)).map_or(WIDE, f64::from)
}

/// How wide a text is at a letter size, in the size's unit. Other sans-serif fonts are hardly ever wider.
pub(crate) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let face = &FACES[usize::from(bold)];
    text.chars().map(|letter| face.width(letter)).sum::<f64>() * size / 1000.0
}

/// The text, or as much of it as fits before an ellipsis.
pub(crate) fn shortened(text: &str, room: f64, size: f64, bold: bool) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        kept.push(letter);
        // The ellipsis is as wide as letters get.
        if width(&kept, size, bold) + size > room {
            kept.pop();
            break;
        }
    }
    format!("{}\u{2026}", kept.trim_end())
}

/// Text as the content of an element or an attribute. Characters that XML does not allow, and those that change the direction of what follows,
/// become U+FFFD.
pub(crate) fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                written.push('\u{fffd}');
            }
            letter if letter.is_control() => written.push('\u{fffd}'),
            letter => written.push(letter),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        // DejaVu Sans 2.37 has 2048 units to the em; its `hmtx` table, read with fontTools, says 1255 for `a`, 1401 for `A`, 651 for a space.
        let exact = (1255.0 + 1401.0 + 651.0) / 2048.0 * 10.0;
        assert!((width("aA ", 10.0, false) - exact).abs() < 0.01, "{}", width("aA ", 10.0, false));
        // A minus sign is as wide as a plus, and what the font lacks is square.
        assert_eq!(width("\u{2212}", 10.0, false), width("+", 10.0, false));
        assert_eq!(width("\u{7f51}", 10.0, false), 10.0);
        assert!(width("aA", 10.0, true) > width("aA", 10.0, false));
    }

    #[test]
    fn long_text_ends_in_an_ellipsis_within_its_room() {
        assert_eq!(shortened("resnet", 100.0, 8.0, false), "resnet");
        let short = shortened("a very long name of a pattern", 60.0, 8.0, false);
        assert!(short.ends_with('\u{2026}') && short.starts_with("a very"), "{short}");
        assert!(width(&short, 8.0, false) <= 60.0);
        assert_eq!(shortened("abc", 0.0, 8.0, false), "\u{2026}");
    }

    #[test]
    fn markup_and_control_characters_are_inert() {
        assert_eq!(escaped("<b a=\"x\" c='y'>&"), "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;");
        assert_eq!(escaped("a\u{0}\u{1b}[31m\u{202e}\u{9b}\n"), "a\u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}");
    }
}
