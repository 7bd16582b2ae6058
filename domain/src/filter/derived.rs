//! Fields that are read out of labels: what kind of pattern, how steep, how large the budget.

use crate::table::{Kind, ValueRef};

/// What a filter can ask of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Derived {
    PatternKind,
    PatternSlope,
    BudgetShare,
}

impl Derived {
    pub(super) const ALL: [Self; 3] = [Self::PatternKind, Self::PatternSlope, Self::BudgetShare];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PatternKind => "pattern.kind",
            Self::PatternSlope => "pattern.slope",
            Self::BudgetShare => "budget.share",
        }
    }

    /// The column that it is read out of.
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::PatternKind | Self::PatternSlope => "pattern",
            Self::BudgetShare => "budget",
        }
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::PatternKind => Kind::Text,
            Self::PatternSlope | Self::BudgetShare => Kind::Real,
        }
    }

    /// Of a label, as [`JobConfig`](crate::job::JobConfig) writes it.
    pub(super) fn of(self, label: ValueRef<'_>) -> ValueRef<'_> {
        let ValueRef::Text(label) = label else { return ValueRef::Null };
        let number = |number: Option<f64>| number.map_or(ValueRef::Null, ValueRef::Real);
        match self {
            Self::PatternKind => ValueRef::Text(label.split(' ').next().unwrap_or(label)),
            Self::PatternSlope => number(slope(label)),
            Self::BudgetShare => number(share(label)),
        }
    }
}

/// Of the linear patterns: positive where later exits get more. Other patterns have no slope.
fn slope(pattern: &str) -> Option<f64> {
    match pattern.split_once(' ') {
        Some(("increasing", slope)) => slope.parse().ok(),
        Some(("decreasing", slope)) => slope.parse().ok().map(|slope: f64| -slope),
        None if pattern == "constant" => Some(0.0),
        _ => None,
    }
}

/// Of budgets that are a share, whatever of: `25 %`, `25 % of params`, `25 % expected at 0.4/0.3/0.3`. The decimal point is moved in the text, so
/// that `7 %` is 0.07 to the last bit.
fn share(budget: &str) -> Option<f64> {
    let (percent, _) = budget.split_once(" %")?;
    format!("{percent}e-2").parse().ok()
}
