//! Shares of the branch cost as an SVG drawing: a panel for each set of networks that are compared, a line for each pattern.
//!
//! The same input gives the same bytes. Patterns are told apart by colour, marker and dashes together, so that neither colour vision nor a colour
//! printer is needed; the colours stand out from white and from black, and a viewer in dark mode gets a dark background.

use std::fmt::Write;

/// One drawing.
#[derive(Debug)]
pub(crate) struct Panel {
    /// What is compared.
    pub(crate) title: String,
    /// Under which conditions.
    pub(crate) subtitle: String,
    /// By whom.
    pub(crate) lines: Vec<Line>,
}

/// One pattern's shares.
#[derive(Debug)]
pub(crate) struct Line {
    /// The pattern.
    pub(crate) name: String,
    /// Of each exit, the part of the backbone's MACs done there, and its part of the branch MACs.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Size of a panel with its labels, and of the area that lines are drawn on.
const PANEL: (f64, f64) = (320.0, 250.0);
const AREA: (f64, f64) = (250.0, 150.0);
/// From a panel's corner to the area's.
const INSET: (f64, f64) = (54.0, 48.0);
/// Panels side by side.
const COLUMNS: usize = 3;
const MARGIN: f64 = 16.0;
/// Of the legend's entries: width, and height of a row.
const ENTRY: (f64, f64) = (160.0, 20.0);

/// Colours with a contrast of at least 3 to 1 to white and to the dark background: those of Okabe and Ito where they have it, and darker ones of
/// their hues where not.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#b8619a", "#7f7f7f", "#9a7b00", "#1f8fc4"];
const DASHES: [&str; 3] = ["", "6 3", "2 3"];
/// Markers, drawn around the origin.
const MARKERS: [&str; 5] = [
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0",
    "M-3,-3h6v6h-6z",
    "M0,-4l4,7h-8z",
    "M0,-4.5l4.5,4.5l-4.5,4.5l-4.5,-4.5z",
    "M0,4l4,-7h-8z",
];

const INK: &str = r#"class="ink""#;

const STYLE: &str = "\
.back{fill:#ffffff}.ink{fill:#222222}.axis{stroke:#222222}.grid{stroke:#d9d9d9}
@media (prefers-color-scheme: dark){.back{fill:#14171a}.ink{fill:#e6e6e6}.axis{stroke:#e6e6e6}.grid{stroke:#3a3f44}}
text{font-family:sans-serif;font-size:11px}.title{font-size:12px;font-weight:bold}.line{fill:none;stroke-width:1.6}";

/// Draws panels, with one legend over them.
pub(crate) fn render(panels: &[Panel]) -> String {
    let names = names(panels);
    let columns = panels.len().clamp(1, COLUMNS);
    let width = 2.0 * MARGIN + columns as f64 * PANEL.0;
    let entries_a_row = ((width - 2.0 * MARGIN) / ENTRY.0).floor().max(1.0) as usize;
    let legend_height = names.len().div_ceil(entries_a_row) as f64 * ENTRY.1 + MARGIN;
    let height = 2.0 * MARGIN + legend_height + panels.len().div_ceil(columns) as f64 * PANEL.1;
    let mut svg = Svg(String::new());
    svg.line(format_args!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img">"#
    ));
    svg.line(format_args!("<title>Shares of the branch MACs at each exit</title>"));
    svg.line(format_args!("<style>{STYLE}</style>"));
    svg.line(format_args!(r#"<rect class="back" width="100%" height="100%"/>"#));
    for (index, name) in names.iter().enumerate() {
        let (x, y) = (MARGIN + (index % entries_a_row) as f64 * ENTRY.0, MARGIN + 8.0 + (index / entries_a_row) as f64 * ENTRY.1);
        svg.path(&format!("M{x:.1},{y:.1}h28"), index);
        svg.marker(x + 14.0, y, index);
        svg.text(x + 34.0, y + 4.0, INK, name);
    }
    let most = panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points).map(|(_, share)| *share).fold(0.0, f64::max);
    // The next ten per cent, so that panels have one scale.
    let top = ((most * 10.0 - 1e-9).ceil() / 10.0).clamp(0.1, 1.0);
    for (index, panel) in panels.iter().enumerate() {
        let x = MARGIN + (index % columns) as f64 * PANEL.0;
        let y = MARGIN + legend_height + (index / columns) as f64 * PANEL.1;
        svg.panel(panel, (x, y), top, &names);
    }
    svg.line(format_args!("</svg>"));
    svg.0
}

/// The patterns, in the order in which they first appear.
fn names(panels: &[Panel]) -> Vec<&str> {
    let mut names = Vec::new();
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.contains(&line.name.as_str()) {
            names.push(line.name.as_str());
        }
    }
    names
}

struct Svg(String);

impl Svg {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).and_then(|()| self.0.write_char('\n')).expect("writing to a String does not fail");
    }

    fn text(&mut self, x: f64, y: f64, how: &str, text: &str) {
        self.line(format_args!(r#"<text x="{x:.1}" y="{y:.1}" {how}>{}</text>"#, escaped(text)));
    }

    fn path(&mut self, path: &str, style: usize) {
        let (colour, dash) = (COLOURS[style % COLOURS.len()], DASHES[style % DASHES.len()]);
        self.line(format_args!(r#"<path class="line" stroke="{colour}" stroke-dasharray="{dash}" d="{path}"/>"#));
    }

    fn marker(&mut self, x: f64, y: f64, style: usize) {
        let (colour, marker) = (COLOURS[style % COLOURS.len()], MARKERS[style % MARKERS.len()]);
        self.line(format_args!(r#"<path fill="{colour}" transform="translate({x:.1},{y:.1})" d="{marker}"/>"#));
    }

    fn panel(&mut self, panel: &Panel, corner: (f64, f64), top: f64, names: &[&str]) {
        let (left, upper) = (corner.0 + INSET.0, corner.1 + INSET.1);
        let bottom = upper + AREA.1;
        self.text(left, corner.1 + 18.0, r#"class="ink title""#, &panel.title);
        self.text(left, corner.1 + 34.0, INK, &panel.subtitle);
        let n_steps = (top * 10.0).round() as usize;
        let every = n_steps.div_ceil(5);
        for step in (0..=n_steps).step_by(every) {
            let y = bottom - AREA.1 * step as f64 / n_steps as f64;
            self.line(format_args!(r#"<path class="grid" d="M{left:.1},{y:.1}h{:.1}"/>"#, AREA.0));
            self.text(left - 6.0, y + 4.0, r#"class="ink" text-anchor="end""#, &(step * 10).to_string());
        }
        for tenth in (0..=10).step_by(2) {
            let x = left + AREA.0 * f64::from(tenth) / 10.0;
            self.line(format_args!(r#"<path class="axis" d="M{x:.1},{bottom:.1}v4"/>"#));
            self.text(x, bottom + 16.0, r#"class="ink" text-anchor="middle""#, &(tenth * 10).to_string());
        }
        self.line(format_args!(r#"<path class="axis" d="M{left:.1},{bottom:.1}h{:.1}"/>"#, AREA.0));
        self.text(left + AREA.0 / 2.0, bottom + 32.0, r#"class="ink" text-anchor="middle""#, "backbone MACs done at the exit (%)");
        let (x, y) = (corner.0 + 16.0, upper + AREA.1 / 2.0);
        self.text(x, y, &format!(r#"class="ink" text-anchor="middle" transform="rotate(-90 {x:.1} {y:.1})""#), "share of branch MACs (%)");
        for line in &panel.lines {
            let style = names.iter().position(|name| *name == line.name).unwrap_or(0);
            let place = |(done, share): &(f64, f64)| (left + AREA.0 * done, bottom - AREA.1 * share / top);
            let places: Vec<(f64, f64)> = line.points.iter().map(place).collect();
            let steps: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            self.path(&format!("M{}", steps.join("L")), style);
            for (x, y) in places {
                self.marker(x, y, style);
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(title: &str, names: &[&str]) -> Panel {
        let line = |name: &&str| Line { name: (*name).to_owned(), points: vec![(0.25, 0.75), (0.5, 0.25)] };
        Panel { title: title.to_owned(), subtitle: "exits a, budget <b> & c".to_owned(), lines: names.iter().map(line).collect() }
    }

    #[test]
    fn lines_lie_where_their_numbers_say() {
        let svg = render(&[panel("x", &["constant"])]);
        // The area begins 16 + 54 from the left and, under one row of legend, 16 + 36 + 48 from the top; its scale ends at 80 %.
        assert!(svg.contains(r#"d="M132.5,109.4L195.0,203.1""#), "{svg}");
        assert!(svg.contains("exits a, budget &lt;b&gt; &amp; c") && !svg.contains("<b>"), "{svg}");
    }

    #[test]
    fn every_pattern_has_a_style_of_its_own() {
        let names: Vec<String> = (0..40).map(|index| format!("random {index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let svg = render(&[panel("x", &names)]);
        let styles = svg.lines().filter(|line| line.contains(r#"class="line""#)).map(|line| line.split(" d=").next().unwrap());
        let styles: Vec<&str> = styles.take(40).collect();
        // Two lines that share colour and dashes are 21 apart, and 21 apart is another marker.
        assert!((0..40).all(|a| (a + 1..40).all(|b| styles[a] != styles[b] || (b - a) % 21 == 0 && a % 5 != b % 5)));
    }

    #[test]
    fn nothing_to_draw_is_a_drawing() {
        let svg = render(&[]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
