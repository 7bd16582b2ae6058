//! Where exits hang.

use crate::backbone::Backbone;
use crate::job::ExitPlacement;
use crate::shape::Shape;

/// A unit of a backbone that an exit follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachPoint {
    /// Index of the unit.
    pub unit: usize,
    /// Shape of its output.
    pub shape: Shape,
}

/// Finds the units that the side exits follow, first to last.
///
/// The fraction of a unit is the strict MACs from the input up to and with it, stem included, over those of the whole backbone, head included.
/// A wanted fraction goes to the unit whose own comes nearest, the earlier of two equally near.
///
/// # Errors
/// When there are no fractions, one is not strictly between 0 and 1, they do not rise, or two go to the same unit; for units, when there are
/// none, they do not rise, or the backbone has not as many.
///
/// # Source
/// Exits at fractions of the backbone's operations are those of shallow-deep networks (Kaya, Hong, Dumitras, arXiv 1810.07052).
pub fn place(backbone: &Backbone, placement: &ExitPlacement) -> Result<Vec<AttachPoint>, ExitsError> {
    let cumulative = backbone.cumulative();
    let units = match placement {
        ExitPlacement::StageEnds => backbone.stage_ends.clone(),
        ExitPlacement::Fractions(wanted) => {
            check(wanted)?;
            let whole = backbone.total().macs as f64;
            let of_units: Vec<f64> = cumulative.iter().map(|so_far| so_far.macs as f64 / whole).collect();
            nearest_units(wanted, &of_units)?
        }
        ExitPlacement::Units(units) => checked_units(backbone, units)?,
        ExitPlacement::Own if backbone.own_exits.is_empty() => return Err(ExitsError::NoOwn(backbone.name.clone())),
        ExitPlacement::Own => backbone.own_exits.iter().map(|exit| exit.unit).collect(),
    };
    Ok(units.into_iter().map(|unit| AttachPoint { unit, shape: cumulative[unit].output }).collect())
}

/// Refuses fractions that no backbone could place.
fn check(wanted: &[f64]) -> Result<(), ExitsError> {
    if wanted.is_empty() {
        return Err(ExitsError::None);
    }
    if let Some(&fraction) = wanted.iter().find(|fraction| !(**fraction > 0.0 && **fraction < 1.0)) {
        return Err(ExitsError::OutOfRange(fraction));
    }
    match wanted.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(ExitsError::NotRising { first: pair[0], second: pair[1] }),
        None => Ok(()),
    }
}

/// The unit for each wanted fraction.
fn nearest_units(wanted: &[f64], of_units: &[f64]) -> Result<Vec<usize>, ExitsError> {
    let units: Vec<usize> = wanted.iter().map(|fraction| nearest(*fraction, of_units)).collect();
    match (1..units.len()).find(|index| units[index - 1] == units[*index]) {
        None => Ok(units),
        Some(index) => {
            let unit = units[index];
            Err(ExitsError::SameUnit {
                first: wanted[index - 1],
                second: wanted[index],
                unit,
                fraction: of_units[unit],
                before: unit.checked_sub(1).map(|before| of_units[before]),
                after: of_units.get(unit + 1).copied(),
            })
        }
    }
}

/// Unit indices as they are, where the backbone has such units.
fn checked_units(backbone: &Backbone, units: &[u32]) -> Result<Vec<usize>, ExitsError> {
    if units.is_empty() {
        return Err(ExitsError::NoUnits);
    }
    if let Some(pair) = units.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(ExitsError::UnitsNotRising { first: pair[0], second: pair[1] });
    }
    let n_units = backbone.units.len();
    match units.iter().find(|unit| **unit as usize >= n_units) {
        Some(&unit) => Err(ExitsError::NoSuchUnit { unit, n_units, stage_ends: backbone.stage_ends.clone() }),
        None => Ok(units.iter().map(|unit| *unit as usize).collect()),
    }
}

/// Index of the nearest of `fractions`, which is not empty; the first of two equally near.
fn nearest(wanted: f64, fractions: &[f64]) -> usize {
    let by_distance = |a: &usize, b: &usize| (fractions[*a] - wanted).abs().total_cmp(&(fractions[*b] - wanted).abs());
    (0..fractions.len()).min_by(by_distance).expect("a backbone has at least its stem")
}

/// Why exits cannot be placed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExitsError {
    /// An empty list of fractions.
    #[error("an empty list of fractions places no exit")]
    None,
    /// Not a place inside the backbone.
    #[error("an exit at {0} of the backbone's MACs does not lie strictly between 0 and 1")]
    OutOfRange(f64),
    /// An empty list of units.
    #[error("an empty list of units places no exit")]
    NoUnits,
    /// Units out of order, or twice the same.
    #[error("exits after unit {first} and then unit {second} do not rise")]
    UnitsNotRising {
        /// The unit given first.
        first: u32,
        /// The one after it.
        second: u32,
    },
    /// The exits that the backbone was published with, and there are none.
    #[error("`{0}` was published without side exits")]
    NoOwn(String),
    /// The backbone is shorter.
    #[error("no exit can follow unit {unit}: the backbone has units 0 to {}", n_units - 1)]
    NoSuchUnit {
        /// The unit asked for.
        unit: u32,
        /// Units there are.
        n_units: usize,
        /// Those that end a stage.
        stage_ends: Vec<usize>,
    },
    /// Out of order, or twice the same.
    #[error("exits at {first} and then {second} of the backbone's MACs do not rise")]
    NotRising {
        /// The fraction given first.
        first: f64,
        /// The one after it.
        second: f64,
    },
    /// The backbone is too coarse for two fractions this close.
    #[error("exits at {first} and {second} of the backbone's MACs would both follow unit {unit}, which ends at {fraction:.3}")]
    SameUnit {
        /// The smaller fraction.
        first: f64,
        /// The larger fraction.
        second: f64,
        /// Index of the unit; 0 is the stem.
        unit: usize,
        /// The unit's own fraction.
        fraction: f64,
        /// Where the unit before ends.
        before: Option<f64>,
        /// Where the unit after ends.
        after: Option<f64>,
    },
}

impl ExitsError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::None => "give at least one fraction, or `stage-ends`; a network without exits is pattern `none`".to_owned(),
            Self::OutOfRange(_) => "the final exit, at 1, is always there and not listed".to_owned(),
            Self::NoUnits => "give at least one unit, or `stage-ends`; a network without exits is pattern `none`".to_owned(),
            Self::UnitsNotRising { .. } => "list the units from first exit to last".to_owned(),
            Self::NoOwn(_) => "take `stage-ends`, fractions or units; the `msdnet-` backbones have exits of their own".to_owned(),
            Self::NoSuchUnit { stage_ends, .. } => {
                let stage_ends: Vec<String> = stage_ends.iter().map(usize::to_string).collect();
                format!("unit 0 is the stem, and stages end with units {}", stage_ends.join(", "))
            }
            Self::NotRising { .. } => "list the fractions from first exit to last".to_owned(),
            Self::SameUnit { before, after, .. } => {
                let neighbours: Vec<String> = [before, after].into_iter().flatten().map(|fraction| format!("{fraction:.3}")).collect();
                format!("leave one out, or move one: the neighbouring units end at {}", neighbours.join(" and "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
