//! Colours, dashes and markers.

use crate::Theme;

/// Colours with a contrast of at least 3 to 1 to white and to the dark background: those of Okabe and Ito where they have it, and darker ones of
/// their hues where not.
pub(crate) const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#7f7f7f", "#b8619a", "#9a7b00", "#1f8fc4"];
pub(crate) const DASHES: [&str; 4] = ["", "5 2", "1.5 1.5", "6 1.5 1.5 1.5"];
/// Markers around the origin, 2.5 points in radius or as large.
pub(crate) const MARKERS: [&str; 5] = [
    "M-2.4,0a2.4,2.4 0 1,0 4.8,0a2.4,2.4 0 1,0 -4.8,0z",
    "M-2.1,-2.1h4.2v4.2h-4.2z",
    "M0,-2.8l2.7,4.8h-5.4z",
    "M0,-3l3,3l-3,3l-3,-3z",
    "M0,2.8l2.7,-4.8h-5.4z",
];

/// Steps from dark to light for what has an order, such as exits: of the `cividis` map, whose lightness grows evenly for every colour vision.
/// Source: Nuñez, Anderton, Renslow: Optimizing colormaps with consideration for color vision deficiency, `PLoS ONE` 2018.
const ORDERED: [(f64, f64, f64); 5] =
    [(0.0, 34.0, 78.0), (66.0, 78.0, 108.0), (124.0, 123.0, 120.0), (187.0, 174.0, 111.0), (254.0, 232.0, 56.0)];

/// Names that look the same in every figure: the patterns that are compared most.
const FAMILIAR: [(&str, usize); 4] = [("constant", 0), ("increasing", 1), ("decreasing", 2), ("none", 3)];

/// The place of a series among the styles.
pub(crate) type Style = usize;

pub(crate) fn colour(style: Style) -> &'static str {
    COLOURS[style % COLOURS.len()]
}

pub(crate) fn dash(style: Style) -> &'static str {
    DASHES[style % DASHES.len()]
}

pub(crate) fn marker(style: Style) -> &'static str {
    MARKERS[style % MARKERS.len()]
}

/// A style for each of the names, which are distinct: familiar patterns get theirs, the others the next that is free.
pub(crate) fn styles(names: &[&str]) -> Vec<Style> {
    let mut found: Vec<Option<Style>> = vec![None; names.len()];
    for (word, style) in FAMILIAR {
        if let Some(index) = names.iter().position(|name| name.split(' ').next() == Some(word)) {
            found[index] = Some(style);
        }
    }
    let taken: Vec<Style> = found.iter().copied().flatten().collect();
    let mut free = (0..).filter(|style| !taken.contains(style));
    found.into_iter().map(|style| style.or_else(|| free.next()).expect("styles do not end")).collect()
}

/// The colour of a step among so many ordered ones.
pub(crate) fn ordered(step: usize, n_steps: usize) -> String {
    let at = step as f64 / (n_steps.max(2) - 1) as f64 * (ORDERED.len() - 1) as f64;
    let (below, part) = ((at.floor() as usize).min(ORDERED.len() - 2), at - at.floor().min((ORDERED.len() - 2) as f64));
    let (a, b) = (ORDERED[below], ORDERED[below + 1]);
    let mix = |a: f64, b: f64| (a + (b - a) * part).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// What is not a series.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ink {
    /// The background.
    Back,
    /// Text and axes.
    Text,
    /// Grid lines.
    Grid,
    /// What is there for comparison, and whatever in a legend stands for every series.
    Faint,
}

impl Ink {
    /// The class, for viewers in dark mode.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Back => "of-back",
            Self::Text => "of-text",
            Self::Grid => "of-grid",
            Self::Faint => "of-faint",
        }
    }

    pub(crate) const fn colour(self, theme: Theme) -> &'static str {
        match (self, theme) {
            (Self::Back, Theme::Auto | Theme::Light) => "#ffffff",
            (Self::Text, Theme::Auto | Theme::Light) => "#222222",
            (Self::Grid, Theme::Auto | Theme::Light) => "#e0e0e0",
            (Self::Faint, Theme::Auto | Theme::Light) => "#6b6b6b",
            (Self::Back, Theme::Dark) => "#14171a",
            (Self::Text, Theme::Dark) => "#e6e6e6",
            (Self::Grid, Theme::Dark) => "#363b40",
            (Self::Faint, Theme::Dark) => "#a0a0a0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, contrast ratio.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour: &str| {
            let part = |at: usize| {
                let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn colours_stand_out_from_both_backgrounds() {
        for theme in [Theme::Light, Theme::Dark] {
            let back = Ink::Back.colour(theme);
            assert!(COLOURS.iter().all(|colour| contrast(colour, back) >= 3.0), "{theme:?}");
            assert!(contrast(Ink::Text.colour(theme), back) >= 7.0 && contrast(Ink::Faint.colour(theme), back) >= 4.5, "{theme:?}");
        }
    }

    #[test]
    fn styles_differ_and_familiar_patterns_keep_theirs() {
        assert_eq!(styles(&["none", "random 3", "increasing 1", "increasing 2", "constant"]), [3, 2, 1, 4, 0]);
        // 7, 4 and 5 have no common divisor: colour, dashes and marker come together again after 140.
        let looks: std::collections::BTreeSet<_> = (0..140).map(|style| (colour(style), dash(style), marker(style))).collect();
        assert_eq!(looks.len(), 140);
    }

    #[test]
    fn ordered_colours_go_from_dark_to_light() {
        assert_eq!((ordered(0, 3).as_str(), ordered(1, 3).as_str(), ordered(2, 3).as_str()), ("#00224e", "#7c7b78", "#fee838"));
        assert_eq!(ordered(0, 1), "#00224e");
    }
}
