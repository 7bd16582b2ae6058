//! SVG as text: elements with numbers of at most two decimals, and every colour both as an attribute and, where it depends on the viewer, as a
//! class. Attributes are what other programs understand, classes what a viewer in dark mode can override.

use std::fmt::Write;

use crate::Theme;
use crate::lettering::escaped;
use crate::style::Ink;

/// Where a text begins from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How text is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Letters {
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) anchor: Anchor,
    pub(crate) ink: Ink,
}

/// A drawing that is being written.
#[derive(Debug)]
pub(crate) struct Canvas {
    text: String,
    theme: Theme,
}

impl Canvas {
    /// Begins a drawing of this size in points.
    pub(crate) fn new(theme: Theme, (width, height): (f64, f64), title: &str, description: &str) -> Self {
        let mut canvas = Self { text: String::new(), theme };
        let (w, h) = (number(width), number(height));
        canvas.line(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}pt\" height=\"{h}pt\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             font-family=\"Helvetica, Arial, sans-serif\" stroke-linejoin=\"round\">"
        ));
        canvas.line(&format!("<title>{}</title>", escaped(title)));
        canvas.line(&format!("<desc>{}</desc>", escaped(description)));
        if theme == Theme::Auto {
            let rules = [Ink::Back, Ink::Text, Ink::Grid, Ink::Faint].map(|ink| {
                let (class, colour) = (ink.class(), ink.colour(Theme::Dark));
                format!(".{class}{{fill:{colour}}}.{class}-line{{stroke:{colour}}}")
            });
            canvas.line(&format!("<style>@media (prefers-color-scheme:dark){{{}}}</style>", rules.concat()));
        }
        let fill = canvas.fill(Ink::Back);
        canvas.line(&format!("<rect width=\"{w}\" height=\"{h}\" {fill}/>"));
        canvas
    }

    /// Ends the drawing.
    pub(crate) fn finish(mut self) -> String {
        self.line("</svg>");
        self.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Attributes that fill with an ink.
    pub(crate) fn fill(&self, ink: Ink) -> String {
        format!("{}fill=\"{}\"", self.class(ink, ""), ink.colour(self.theme))
    }

    /// Attributes that draw lines with an ink.
    pub(crate) fn stroke(&self, ink: Ink, width: f64) -> String {
        format!("{}fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"", self.class(ink, "-line"), ink.colour(self.theme), number(width))
    }

    fn class(&self, ink: Ink, end: &str) -> String {
        if self.theme == Theme::Auto { format!("class=\"{}{end}\" ", ink.class()) } else { String::new() }
    }

    /// A text at its baseline.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), letters: Letters, text: &str) {
        self.text_with(x, y, letters, "", text);
    }

    /// A text turned to be read from below.
    pub(crate) fn upright_text(&mut self, (x, y): (f64, f64), letters: Letters, text: &str) {
        self.text_with(x, y, letters, &format!(" transform=\"rotate(-90 {} {})\"", number(x), number(y)), text);
    }

    fn text_with(&mut self, x: f64, y: f64, letters: Letters, more: &str, text: &str) {
        let anchor = match letters.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let bold = if letters.bold { " font-weight=\"bold\"" } else { "" };
        let (x, y, size, fill) = (number(x), number(y), number(letters.size), self.fill(letters.ink));
        self.line(&format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{bold}{anchor}{more} {fill}>{}</text>", escaped(text)));
    }

    /// A line through places, with attributes.
    pub(crate) fn polyline(&mut self, places: &[(f64, f64)], attributes: &str) {
        self.path(&format!("M{}", joined(places)), attributes);
    }

    /// A closed line through places, with attributes.
    pub(crate) fn polygon(&mut self, places: &[(f64, f64)], attributes: &str) {
        self.path(&format!("M{}z", joined(places)), attributes);
    }

    /// A path, with attributes.
    pub(crate) fn path(&mut self, path: &str, attributes: &str) {
        self.line(&format!("<path d=\"{path}\" {attributes}/>"));
    }

    /// A shape drawn around the origin, put at a place.
    pub(crate) fn shape(&mut self, shape: &str, (x, y): (f64, f64), scale: f64, attributes: &str) {
        let scale = if scale == 1.0 { String::new() } else { format!(" scale({})", number(scale)) };
        self.line(&format!("<path d=\"{shape}\" transform=\"translate({},{}){scale}\" {attributes}/>", number(x), number(y)));
    }

    /// A disc or ring.
    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, attributes: &str) {
        self.line(&format!("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {attributes}/>", number(x), number(y), number(radius)));
    }
}

fn joined(places: &[(f64, f64)]) -> String {
    let mut text = String::new();
    let mut last = None;
    for (x, y) in places {
        let place = (number(*x), number(*y));
        // What falls on one place is one place: long curves stay small files.
        if last.as_ref() != Some(&place) {
            let separator = if text.is_empty() { "" } else { "L" };
            write!(text, "{separator}{},{}", place.0, place.1).expect("writing to a String does not fail");
            last = Some(place);
        }
    }
    text
}

/// A number with at most two decimals.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 0.5, -0.001, 12.345, 100.0].map(number), ["1", "0.5", "0", "12.35", "100"]);
    }

    #[test]
    fn equal_places_are_drawn_once() {
        assert_eq!(joined(&[(1.0, 2.0), (1.001, 2.001), (3.0, 2.0)]), "1,2L3,2");
    }
}
