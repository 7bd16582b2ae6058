//! Mean ranks with a critical difference.
//!
//! # Source
//! Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), figure 1: levels on a line of mean ranks, best on the
//! left; a bar joins levels whose mean ranks lie within the critical difference.

use crate::Look;
use crate::canvas::{Anchor, Canvas, Letters};
use crate::lettering::{shortened, width};
use crate::style::Ink;

/// What is compared, and how far apart is far.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// What is known of the test, such as `Friedman p = 0.01, 8 blocks`.
    pub note: String,
    /// Names with their mean ranks, from 1, the best.
    pub levels: Vec<(String, f64)>,
    /// Mean ranks further apart than this differ.
    pub critical_difference: f64,
}

const MARGIN: f64 = 6.0;
const NAME: f64 = 8.0;
const TICK: f64 = 7.0;
const ROW: f64 = 13.0;
/// Between two bars.
const BAR: f64 = 6.0;

/// Draws it.
pub(crate) fn render(ranks: &Ranks, look: Look) -> String {
    let mut levels: Vec<(&str, f64)> =
        ranks.levels.iter().filter(|(_, rank)| (0.0..=1e6).contains(rank)).map(|(name, rank)| (name.as_str(), *rank)).collect();
    levels.sort_by(|a, b| a.1.total_cmp(&b.1));
    let critical = if ranks.critical_difference.is_finite() { ranks.critical_difference.max(0.0) } else { 0.0 };
    let cliques = cliques(&levels, critical);
    // Ranks go from 1 to the number of levels, and further where somebody says so.
    let last = levels.iter().map(|level| level.1).fold(levels.len().max(2) as f64, f64::max).ceil();
    let first = levels.iter().map(|level| level.1).fold(1.0, f64::min).floor();

    let rows = levels.len().div_ceil(2);
    let axis = MARGIN + 34.0;
    let names = axis + 8.0 + cliques.len() as f64 * BAR + 6.0;
    let needed = names + rows as f64 * ROW + if ranks.note.is_empty() { 0.0 } else { ROW } + MARGIN;
    let (figure_width, height) = (look.size.width, look.size.height.unwrap_or(0.0).max(needed));
    let widest = levels.iter().map(|level| width(level.0, NAME, false)).fold(0.0, f64::max);
    let gutter = (widest + 10.0).min(figure_width * 0.36);
    let (left, right) = (MARGIN + gutter, figure_width - MARGIN - gutter);
    let at = |rank: f64| left + (right - left) * ((rank - first) / (last - first)).clamp(0.0, 1.0);

    let listed: Vec<String> = levels.iter().map(|(name, rank)| format!("{name} {rank:.2}")).collect();
    let description = format!("Mean ranks: {}. Critical difference {critical:.2}.", listed.join(", "));
    let mut canvas = Canvas::new(look.theme, (figure_width, height), &ranks.title, &description);
    let (thin, thick) = (canvas.stroke(Ink::Text, 0.7), canvas.stroke(Ink::Text, 2.2));
    let letters = Letters { size: TICK, bold: false, anchor: Anchor::Middle, ink: Ink::Text };

    canvas.polyline(&[(left, axis), (right, axis)], &thin);
    let every = ((last - first) / 10.0).ceil().max(1.0);
    let mut rank = first;
    while rank <= last {
        let x = at(rank);
        canvas.polyline(&[(x, axis), (x, axis - 3.0)], &thin);
        canvas.text((x, axis - 5.0), letters, &format!("{rank:.0}"));
        rank += every;
    }
    // The critical difference as a length of the axis; where it is longer than the axis nothing differs, and the number says it.
    let end = at(first + critical);
    let ruler = MARGIN + TICK + 5.0;
    canvas.polyline(&[(left, ruler), (end, ruler)], &thin);
    for x in [left, end] {
        canvas.polyline(&[(x, ruler - 2.5), (x, ruler + 2.5)], &thin);
    }
    let label = format!("critical difference {critical:.2}");
    canvas.text(
        (left, MARGIN + TICK),
        Letters { anchor: Anchor::Start, ..letters },
        &shortened(&label, figure_width - left - MARGIN, TICK, false),
    );

    for (row, (best, worst)) in cliques.iter().enumerate() {
        let y = axis + 8.0 + row as f64 * BAR;
        canvas.polyline(&[(at(levels[*best].1) - 2.0, y), (at(levels[*worst].1) + 2.0, y)], &thick);
    }
    // The better half is named on the left from the top, the others on the right, the worst first: so lines don't cross.
    for (index, (name, rank)) in levels.iter().enumerate() {
        let on_left = index < rows;
        let row = if on_left { index } else { levels.len() - 1 - index };
        let (x, y) = (at(*rank), names + row as f64 * ROW + ROW / 2.0);
        let (side, anchor, text) = if on_left { (left - 4.0, Anchor::End, left - 7.0) } else { (right + 4.0, Anchor::Start, right + 7.0) };
        canvas.polyline(&[(x, axis), (x, y), (side, y)], &thin);
        let letters = Letters { size: NAME, bold: false, anchor, ink: Ink::Text };
        canvas.text((text, y + NAME * 0.36), letters, &shortened(name, gutter - 7.0, NAME, false));
    }
    if !ranks.note.is_empty() {
        let letters = Letters { ink: Ink::Faint, ..letters };
        let note = shortened(&ranks.note, figure_width - 2.0 * MARGIN, TICK, false);
        canvas.text((figure_width / 2.0, height - MARGIN), letters, &note);
    }
    canvas.finish()
}

/// First and last of each longest run of levels, by rank, whose mean ranks lie within the critical difference.
fn cliques(levels: &[(&str, f64)], critical: f64) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for first in 0..levels.len() {
        let last = (first..levels.len()).take_while(|&last| levels[last].1 - levels[first].1 <= critical + 1e-12).last().unwrap_or(first);
        let inside_another = found.last().is_some_and(|&(_, end)| last <= end);
        if last > first && !inside_another {
            found.push((first, last));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_those_of_the_published_figure() {
        // Demšar 2006, section 3.2.4: mean ranks of four classifiers on 14 data sets. The critical difference at 5 % is 1.25, and even the best
        // and the worst differ by less, 1.179.
        let levels = [("C4.5+m+cf", 1.964), ("C4.5+m", 2.000), ("C4.5+cf", 2.893), ("C4.5", 3.143)];
        assert_eq!(cliques(&levels, 1.25), [(0, 3)]);
        // At 10 % it is 1.12: C4.5 is worse than both that tune m, and C4.5+cf belongs to either group.
        assert_eq!(cliques(&levels, 1.12), [(0, 2), (2, 3)]);
        assert_eq!(cliques(&levels, 0.01), []);
    }
}
