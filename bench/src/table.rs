//! Figures, as they are printed.

use serde_json::json;

use crate::statistics::{median, spread};

/// What is asked of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Requirement {
    /// Of the ratio of measured to raw.
    RatioAtLeast(f64),
    /// Of the ratio of measured to raw.
    RatioAtMost(f64),
    /// Of what was measured.
    AtMost(f64),
    /// Nothing: it is there to be compared.
    None,
}

/// A figure, measured several times.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// The database engine; `-` where there is none.
    pub(crate) engine: &'static str,
    pub(crate) unit: &'static str,
    /// What was measured, once a repetition.
    pub(crate) measured: Vec<f64>,
    /// What it is measured against, once a repetition; empty where it stands for itself.
    pub(crate) raw: Vec<f64>,
    /// What one repetition consists of.
    pub(crate) n: u64,
    pub(crate) requirement: Requirement,
}

impl Figure {
    /// Ratios of repetitions: what disturbs one repetition disturbs both sides.
    fn ratios(&self) -> Vec<f64> {
        self.measured.iter().zip(&self.raw).map(|(measured, raw)| measured / raw).collect()
    }

    fn ratio(&self) -> Option<f64> {
        let ratios = self.ratios();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    /// Whether it is as it should be.
    pub(crate) fn is_met(&self) -> bool {
        match self.requirement {
            Requirement::RatioAtLeast(least) => self.ratio().is_some_and(|ratio| ratio >= least),
            Requirement::RatioAtMost(most) => self.ratio().is_some_and(|ratio| ratio <= most),
            Requirement::AtMost(most) => median(&self.measured) <= most,
            Requirement::None => true,
        }
    }

    fn required(&self) -> String {
        match self.requirement {
            Requirement::RatioAtLeast(least) => format!(">= {least} x"),
            Requirement::RatioAtMost(most) => format!("<= {most} x"),
            Requirement::AtMost(most) => format!("<= {most} {}", self.unit),
            Requirement::None => "-".to_owned(),
        }
    }
}

/// A number with as many digits as are worth reading.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn short_spread(values: &[f64]) -> String {
    let (least, most) = spread(values);
    format!("{}..{}", short(least), short(most))
}

/// Prints a table.
#[expect(clippy::print_stdout, reason = "the benchmark's answer")]
pub(crate) fn print(figures: &[Figure], is_quick: bool) {
    let header = ["figure", "engine", "n", "unit", "measured", "spread", "raw", "spread", "ratio", "spread", "required", "ok"];
    let mut lines = vec![header.map(str::to_owned)];
    for figure in figures {
        let of = |values: &[f64]| match values {
            [] => ["-".to_owned(), "-".to_owned()],
            values => [short(median(values)), short_spread(values)],
        };
        let [measured, measured_spread] = of(&figure.measured);
        let [raw, raw_spread] = of(&figure.raw);
        let [ratio, ratio_spread] = of(&figure.ratios());
        let n = format!("{} x {}", figure.measured.len(), figure.n);
        let verdict = match (figure.requirement, is_quick, figure.is_met()) {
            (Requirement::None, ..) | (_, true, _) => "-",
            (_, false, true) => "yes",
            (_, false, false) => "NO",
        };
        lines.push([
            figure.name.to_owned(),
            figure.engine.to_owned(),
            n,
            figure.unit.to_owned(),
            measured,
            measured_spread,
            raw,
            raw_spread,
            ratio,
            ratio_spread,
            figure.required(),
            verdict.to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..header.len()).map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0)).collect();
    for line in lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    println!("Medians of the repetitions, with the least and the greatest; a ratio is taken within a repetition.");
    if is_quick {
        println!("A quick run shows that everything works, not how fast it is.");
    }
}

/// Prints the same as JSON, with every repetition.
#[expect(clippy::print_stdout, reason = "the benchmark's answer")]
pub(crate) fn print_json(figures: &[Figure], is_quick: bool) -> anyhow::Result<()> {
    let rows: Vec<_> = figures
        .iter()
        .map(|figure| {
            json!({
                "figure": figure.name,
                "engine": figure.engine,
                "unit": figure.unit,
                "n": figure.n,
                "measured": figure.measured,
                "raw": figure.raw,
                "ratio": figure.ratio(),
                "required": figure.required(),
                "met": figure.is_met(),
            })
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&json!({ "quick": is_quick, "figures": rows }))?);
    Ok(())
}

/// Tells the person at the terminal what goes on, or went wrong.
#[expect(clippy::print_stderr, reason = "the one place where the benchmark speaks besides its answer")]
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_of_the_median() {
        let figure = |requirement| Figure {
            name: "x",
            engine: "SQLite",
            unit: "jobs/s",
            measured: vec![10.0, 30.0, 20.0],
            raw: vec![10.0, 10.0, 10.0],
            n: 1,
            requirement,
        };
        assert!(figure(Requirement::RatioAtLeast(2.0)).is_met());
        assert!(!figure(Requirement::RatioAtLeast(2.1)).is_met());
        assert!(figure(Requirement::RatioAtMost(2.0)).is_met());
        assert!(!figure(Requirement::RatioAtMost(1.9)).is_met());
        assert!(figure(Requirement::AtMost(20.0)).is_met());
        assert!(!figure(Requirement::AtMost(19.0)).is_met());
        assert!(!Figure { raw: Vec::new(), ..figure(Requirement::RatioAtLeast(0.0)) }.is_met(), "nothing to compare with");
    }
}
