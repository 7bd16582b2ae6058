//! Accepting a result of 100 points where a million are stored, against where a thousand are: nothing about it may depend on how many there are.

use super::curves::Kind;
use super::stored::Stored;
use super::{Scale, n_results};
use crate::database::{Engine, Site};
use crate::statistics::median;
use crate::table::{Figure, Requirement};

/// Results that a repetition has accepted, of each kind: those that count and one before them.
pub(super) const fn n_accepted(scale: &Scale) -> u64 {
    2 * (scale.n_accepted + 1)
}

pub(super) async fn measure(site: &mut Site, engine: Engine, scale: &Scale, many: &mut Stored) -> anyhow::Result<Vec<Figure>> {
    // Nearly all results are behind others; the dearest ones are ahead of all, and take every point's place on every frontier.
    let kinds = [("accept-behind", Kind::Behind), ("accept-ahead", Kind::Ahead)];
    let mut figures = kinds.map(|(name, _)| Figure {
        name,
        engine: engine.name(),
        unit: "ms",
        measured: Vec::new(),
        raw: Vec::new(),
        n: scale.n_accepted,
        requirement: Requirement::RatioAtMost(1.3),
    });
    for repetition in 0..scale.n_repetitions {
        // A new one each time: it would not stay small.
        let name = format!("few_{repetition}");
        let mut few = Stored::fill(site, engine, &name, n_results(scale.n_few), n_accepted(scale)).await?;
        for ((_, kind), figure) in kinds.into_iter().zip(&mut figures) {
            // The first one of a kind finds other frontiers here than there.
            few.accept(kind, 1).await?;
            many.accept(kind, 1).await?;
            let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
            for _ in 0..scale.n_accepted {
                of_few.extend(few.accept(kind, 1).await?);
                of_many.extend(many.accept(kind, 1).await?);
            }
            figure.raw.push(median(&of_few));
            figure.measured.push(median(&of_many));
        }
        few.stop().await?;
    }
    Ok(figures.into())
}
