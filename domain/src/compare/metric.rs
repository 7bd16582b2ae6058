//! The number that jobs are compared by.

use std::fmt;

use crate::spelling;

/// The number that jobs are compared by; larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Metric {
    /// The area under accuracy-vs-MACs, see [`area`](crate::evaluation::area). The same thing within one backbone and dataset alone.
    #[default]
    Area,
    /// Test accuracy of the final exit.
    FinalAccuracy,
    /// Test accuracy of the most accurate exit.
    BestAccuracy,
    /// Test accuracy for a cost: of the operating points that cost no more on the calibration split, the most accurate there is taken (of equal
    /// ones the cheaper there, then the first), and chance (1 / classes) where none is that cheap.
    AccuracyAt(Cost),
}

/// A cost of a sample, every branch on the way paid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cost {
    /// MACs.
    Macs(f64),
    /// A share of the backbone's own MACs.
    Share(f64),
}

impl Cost {
    /// Reads `20M`, `1.5G`, `20000000` or, for a share of the backbone's own, `50%`; `None` where it is no cost.
    ///
    /// # Units
    /// MACs a sample.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| digits.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        if let Some(digits) = text.strip_suffix('%') {
            return Some(Self::Share(number(digits)? / 100.0));
        }
        let prefixes = [('k', 1e3), ('M', 1e6), ('G', 1e9), ('T', 1e12), ('P', 1e15)];
        let prefixed = prefixes.into_iter().find_map(|(prefix, scale)| Some((text.strip_suffix(prefix)?, scale)));
        let (digits, scale) = prefixed.unwrap_or((text, 1.0));
        Some(Self::Macs(number(digits)? * scale))
    }
}

/// A metric that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no metric is called {}", spelling::quote(.name))]
pub struct UnknownMetric {
    /// What was asked for.
    pub name: String,
    /// What was perhaps meant.
    pub suggestion: Option<&'static str>,
}

impl UnknownMetric {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self.suggestion {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("there are `{}`", Metric::NAMED.map(Metric::as_str).join("`, `")),
        }
    }
}

impl Metric {
    /// Those that have a name alone.
    pub const NAMED: [Self; 3] = [Self::Area, Self::FinalAccuracy, Self::BestAccuracy];

    /// The metric's name: that of the column of `v_jobs`, or `accuracy_at`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::FinalAccuracy => "final_accuracy",
            Self::BestAccuracy => "best_accuracy",
            Self::AccuracyAt(_) => "accuracy_at",
        }
    }

    /// The metric of this name. Dashes do for underscores.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, UnknownMetric> {
        let canonical = name.replace('-', "_");
        Self::NAMED.into_iter().find(|metric| metric.as_str() == canonical).ok_or_else(|| UnknownMetric {
            name: name.to_owned(),
            suggestion: spelling::suggest(&canonical, Self::NAMED.iter().map(|metric| metric.as_str()))
                .and_then(|name| Self::NAMED.into_iter().map(Self::as_str).find(|known| *known == name)),
        })
    }
}

impl fmt::Display for Metric {
    /// In words, with the unit of a cost.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Area => f.write_str("area under accuracy-vs-MACs"),
            Self::FinalAccuracy => f.write_str("accuracy of the final exit"),
            Self::BestAccuracy => f.write_str("accuracy of the best exit"),
            Self::AccuracyAt(Cost::Macs(macs)) => {
                let prefixes = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
                let (scale, prefix) = prefixes.into_iter().find(|(scale, _)| macs >= scale).unwrap_or((1.0, ""));
                write!(f, "accuracy at {}{prefix} MACs", macs / scale)
            }
            Self::AccuracyAt(Cost::Share(share)) => write!(f, "accuracy at {} % of the backbone's MACs", 100.0 * share),
        }
    }
}
