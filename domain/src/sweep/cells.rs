//! The combinations of the grid: count, exclude, collapse.

use std::ops::Range;

use super::axes::{AnyAxis, Axes, Cell, N_AXES, OF_BRANCHES, OF_SIDE_EXITS, OF_SOLVING, PATTERN};
use super::reader::Reader;
use super::selector::Selector;
use crate::job::Pattern;

/// Four bytes and a key each while a sweep is submitted, and a row each for ever.
const MAX_COMBINATIONS: usize = 1_000_000;

/// Solving a network takes up to milliseconds and holding one tens of kilobytes.
const MAX_NETWORKS: usize = 10_000;

/// Numbers every combination of a grid, the last axis fastest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbering {
    lengths: [u32; N_AXES],
    /// By how much the number grows with a position on each axis.
    strides: [u32; N_AXES],
}

impl Numbering {
    /// Of axes that make at most [`MAX_COMBINATIONS`].
    fn new(lengths: Cell) -> Self {
        let lengths = lengths.map(|length| length as u32);
        let mut strides = [1; N_AXES];
        for axis in (0..N_AXES - 1).rev() {
            strides[axis] = strides[axis + 1] * lengths[axis + 1];
        }
        Self { lengths, strides }
    }

    fn n_combinations(&self) -> u32 {
        self.lengths.iter().product()
    }

    pub(super) fn length(&self, axis: usize) -> u32 {
        self.lengths[axis]
    }

    pub(super) fn position(&self, number: u32, axis: usize) -> usize {
        (number / self.strides[axis] % self.lengths[axis]) as usize
    }

    pub(super) fn cell(&self, number: u32) -> Cell {
        std::array::from_fn(|axis| self.position(number, axis))
    }

    /// The combination that differs in having the first value of an axis.
    pub(super) fn at_first(&self, number: u32, axis: usize) -> u32 {
        number - self.position(number, axis) as u32 * self.strides[axis]
    }

    /// The number of what the axes up to the pattern say, which decide on the network.
    pub(super) fn network(&self, number: u32) -> usize {
        (number / self.strides[PATTERN]) as usize
    }

    pub(super) fn n_networks(&self) -> usize {
        self.lengths[..=PATTERN].iter().product::<u32>() as usize
    }
}

/// The combinations that are jobs.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    pub(super) numbering: Numbering,
    /// In the order of the jobs.
    pub(super) numbers: Vec<u32>,
    /// By the pattern's position.
    kinds: Vec<Kind>,
}

/// What a pattern leaves no choice of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `none`: nothing that is about branches.
    Plain,
    /// `final-only`: nothing that is about side exits.
    FinalOnly,
    /// `own`: neither exits nor a budget.
    Own,
    /// All others: every axis counts.
    Branched,
}

impl Kind {
    const fn of(pattern: Option<&Pattern>) -> Self {
        match pattern {
            None => Self::Plain,
            Some(Pattern::FinalOnly) => Self::FinalOnly,
            Some(Pattern::Own) => Self::Own,
            Some(_) => Self::Branched,
        }
    }

    /// The axes on which its jobs have no value.
    pub(super) const fn lacks(self) -> &'static [usize] {
        match self {
            Self::Plain => &OF_BRANCHES,
            Self::FinalOnly => &OF_SIDE_EXITS,
            Self::Own => &OF_SOLVING,
            Self::Branched => &[],
        }
    }
}

impl Cells {
    /// Lists the combinations that are left, each once; `None` where the axes make none, or too many.
    pub(super) fn list(reader: &mut Reader, axes: &Axes, excludes: &[Selector], place: &Range<usize>) -> Option<Self> {
        // An axis is empty where nothing on it could be read, which is reported.
        if axes.lengths().contains(&0) || !is_bounded(reader, axes, place) {
            return None;
        }
        let numbering = Numbering::new(axes.lengths());
        let kinds = (0..axes.pattern.len()).map(|position| Kind::of(axes.pattern.value(position).as_ref())).collect();
        let mut cells = Self { numbering, numbers: Vec::new(), kinds };
        let n_combinations = numbering.n_combinations();
        let mut is_listed = vec![false; n_combinations as usize];
        let is_new = |number: &u32| {
            let excluded = excludes.iter().any(|exclude| exclude.matches(&numbering, *number));
            // A network without branches is the same one, trained in the same way, whatever is said of branches.
            !excluded && !std::mem::replace(&mut is_listed[cells.canonical(*number) as usize], true)
        };
        cells.numbers = (0..n_combinations).filter(is_new).collect();
        if cells.numbers.is_empty() && !reader.has_problems() {
            let place = excludes.last().map_or_else(|| place.clone(), |exclude| exclude.place.clone());
            reader.report(place, "the sweep has no job: every combination is excluded", Some("exclude less".to_owned()));
        }
        Some(cells)
    }

    /// What kind of pattern a combination has.
    pub(super) fn kind(&self, number: u32) -> Kind {
        self.kinds[self.numbering.position(number, PATTERN)]
    }

    /// The kinds of patterns that there are, each once.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let mut kinds = self.kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// The number that all combinations have that are the same job.
    pub(super) fn canonical(&self, number: u32) -> u32 {
        self.without(number, self.kind(number))
    }

    /// The combination with the first value on every axis that patterns of a kind leave no choice of.
    pub(super) fn without(&self, number: u32, kind: Kind) -> u32 {
        kind.lacks().iter().fold(number, |number, &axis| self.numbering.at_first(number, axis))
    }
}

/// Counts before anything is expanded.
fn is_bounded(reader: &mut Reader, axes: &Axes, place: &Range<usize>) -> bool {
    let lengths = axes.lengths();
    let n_combinations = lengths.iter().fold(1_u128, |count, &length| count.saturating_mul(length as u128));
    if n_combinations > MAX_COMBINATIONS as u128 {
        let written = lengths.iter().filter(|&&length| length > 1).map(ToString::to_string).collect::<Vec<_>>().join(" x ");
        let message = format!("the axes make {n_combinations} combinations ({written}), more than the {MAX_COMBINATIONS} allowed");
        reader.report(place.clone(), message, Some("take values off an axis, or split the sweep".to_owned()));
        return false;
    }
    let n_networks: usize = lengths[..=PATTERN].iter().product();
    if n_networks > MAX_NETWORKS {
        let message = format!("the axes make {n_networks} networks, more than the {MAX_NETWORKS} allowed");
        reader.report(place.clone(), message, Some("take values off `exits`, `budget` or `pattern`, or split the sweep".to_owned()));
        return false;
    }
    true
}
