//! Results as figures for papers and pages: plain data in, SVG or PNG out.
//!
//! - [`Figure`]: one of the kinds, each a module with its data: [`frontier`], [`curves`], [`leaving`], [`shares`], [`learning`], [`history`],
//!   [`comparison`], [`ranks`].
//! - [`svg`]: draws one; [`png`]: the same in pixels. [`Look`] says how large and on which background.
//! - `drawing` lays panels, axes and the legend out; `axis` chooses ticks; `style` has colours, dashes and markers; `canvas` writes the text;
//!   `lettering` measures it and makes hostile names inert.
//!
//! The same input gives the same bytes. Series are told apart by colour, dashes and markers together, so neither colour vision nor a colour
//! printer is needed. Whatever is not a number, or beyond 10^18, is left out; everything else lies inside the picture.

mod axis;
mod canvas;
pub mod comparison;
pub mod curves;
mod drawing;
pub mod frontier;
pub mod history;
pub mod learning;
pub mod leaving;
mod lettering;
mod pixels;
pub mod ranks;
pub mod shares;
mod style;

pub use axis::Cost;
pub use pixels::{PngError, png};

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// Accuracy-cost frontiers, with bands over seeds and dominated points.
    Frontier(frontier::Frontier),
    /// Accuracy against cost, a line for each pattern.
    Curves(curves::Curves),
    /// Which part of the images leaves at each exit, over the cost of operating points.
    Leaving(leaving::Leaving),
    /// How patterns share the branch cost out over the exits.
    Shares(shares::Shares),
    /// Loss and accuracy over epochs.
    Learning(learning::Learning),
    /// Hypervolume of frontiers over time.
    History(history::History),
    /// Differences with intervals.
    Comparison(comparison::Comparison),
    /// Mean ranks with a critical difference.
    Ranks(ranks::Ranks),
}

/// How a figure looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// On which background.
    pub theme: Theme,
    /// How large.
    pub size: Size,
}

/// On which background a figure is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// White, and dark where the viewer asks for it. What knows no such question shows it light.
    Auto,
    /// White, as paper.
    Light,
    /// Dark.
    Dark,
}

/// How large a figure is.
///
/// # Units
/// Points, 72 to an inch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    width: f64,
    height: Option<f64>,
}

impl Size {
    /// One column of a paper: 3.5 inches wide, as high as what is drawn needs.
    pub const COLUMN: Self = Self { width: 252.0, height: None };
    /// Both columns of a paper: 7 inches wide, as high as what is drawn needs.
    pub const PAGE: Self = Self { width: 504.0, height: None };

    /// The width in inches.
    pub fn width_inches(self) -> f64 {
        self.width / 72.0
    }

    /// A size in inches. Without a height a figure is as high as what is drawn needs, and it never is less high than its legend and panels
    /// need at least.
    ///
    /// # Errors
    /// Where a side is not between 2 and 40 inches.
    pub fn inches(width: f64, height: Option<f64>) -> Result<Self, SizeError> {
        let sides = [Some(width), height];
        match sides.into_iter().flatten().find(|side| !(2.0..=40.0).contains(side)) {
            Some(side) => Err(SizeError { inches: side }),
            None => Ok(Self { width: width * 72.0, height: height.map(|height| height * 72.0) }),
        }
    }
}

/// A side of a figure is too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a side of {inches} inches is not between 2 and 40")]
pub struct SizeError {
    /// The side.
    pub inches: f64,
}

/// Draws a figure.
pub fn svg(figure: &Figure, look: Look) -> String {
    match figure {
        Figure::Frontier(frontier) => drawing::render(&frontier.drawing(), look),
        Figure::Curves(curves) => drawing::render(&curves.drawing(), look),
        Figure::Leaving(leaving) => drawing::render(&leaving.drawing(), look),
        Figure::Shares(shares) => drawing::render(&shares.drawing(), look),
        Figure::Learning(learning) => drawing::render(&learning.drawing(), look),
        Figure::History(history) => drawing::render(&history.drawing(), look),
        Figure::Comparison(comparison) => drawing::render(&comparison.drawing(), look),
        Figure::Ranks(ranks) => ranks::render(ranks, look),
    }
}

#[cfg(test)]
mod tests;
