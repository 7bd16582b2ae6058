//! Frontiers and their history: the cost's name and unit are those of what was asked for.

use super::Quantity::{Decimal, Integer, Macs, Number, Recipe, Share, Text, Time};
use super::{Column, View, extra, hidden, present, shown, spare, varied, wide};

/// Rows of `v_frontier`, by MACs.
pub(crate) const FRONTIER: View = View { kind: "frontier", columns: &frontier(shown("cost", "MACs", Macs)) };

/// Rows of `v_frontier`, by parameters.
pub(crate) const FRONTIER_BY_PARAMS: View = View { kind: "frontier", columns: &frontier(shown("cost", "parameters", Macs)) };

/// Rows of `v_frontier`, by latency.
pub(crate) const FRONTIER_BY_LATENCY: View = View { kind: "frontier", columns: &frontier(shown("cost", "latency us", Number)) };

const fn frontier(cost: Column) -> [Column; 18] {
    [
        hidden("sweep", Integer),
        hidden("grouping", Text),
        varied("dataset", Text),
        varied("trainer", Text),
        hidden("cost_metric", Text),
        cost,
        shown("accuracy", "accuracy", Share),
        shown("backbone", "backbone", Text),
        shown("pattern", "pattern", Text),
        varied("exits", Text),
        varied("budget", Text),
        varied("recipe", Recipe),
        spare("seed", "seed", Integer),
        wide("policy", "policy", Text),
        wide("setting", "setting", Number),
        extra("latency_us", "latency us", Integer),
        extra("images_per_second", "images/s", Integer),
        shown("job", "job", Text),
    ]
}

/// What single seeds attain, by MACs.
pub(crate) const BAND: View = View { kind: "frontier_band", columns: &band(shown("cost", "MACs", Macs)) };

/// What single seeds attain, by parameters.
pub(crate) const BAND_BY_PARAMS: View = View { kind: "frontier_band", columns: &band(shown("cost", "parameters", Macs)) };

/// What single seeds attain, by latency.
pub(crate) const BAND_BY_LATENCY: View = View { kind: "frontier_band", columns: &band(shown("cost", "latency us", Number)) };

const fn band(cost: Column) -> [Column; 9] {
    [
        varied("dataset", Text),
        present("backbone", "backbone", Text),
        present("pattern", "pattern", Text),
        present("trainer", "trainer", Text),
        shown("surface", "surface", Text),
        wide("level", "seeds", Integer),
        wide("n_seeds", "of", Integer),
        cost,
        shown("accuracy", "accuracy", Share),
    ]
}

/// Frontiers in numbers, by MACs.
pub(crate) const INDICATORS: View = View { kind: "frontier_indicators", columns: &indicators(wide("knee_cost", "knee at MACs", Macs)) };

/// Frontiers in numbers, by parameters.
pub(crate) const INDICATORS_BY_PARAMS: View =
    View { kind: "frontier_indicators", columns: &indicators(wide("knee_cost", "knee at parameters", Macs)) };

/// Frontiers in numbers, by latency.
pub(crate) const INDICATORS_BY_LATENCY: View =
    View { kind: "frontier_indicators", columns: &indicators(wide("knee_cost", "knee at us", Number)) };

const fn indicators(knee: Column) -> [Column; 16] {
    [
        varied("dataset", Text),
        present("backbone", "backbone", Text),
        present("trainer", "trainer", Text),
        present("pattern", "pattern", Text),
        shown("n_frontier", "on frontier", Integer),
        spare("n_points", "of points", Integer),
        hidden("hypervolume", Number),
        shown("hypervolume_share", "hypervolume", Share),
        hidden("reference_cost", Number),
        hidden("reference_accuracy", Share),
        spare("volume_share", "3-D volume", Share),
        shown("igd_plus", "IGD+", Decimal),
        shown("epsilon_additive", "epsilon", Decimal),
        spare("epsilon_multiplicative", "factor", Decimal),
        knee,
        wide("knee_accuracy", "with", Share),
    ]
}

/// Rows of `v_frontier_history`, by MACs.
pub(crate) const HISTORY: View = View { kind: "frontier_history", columns: &history(shown("cost", "MACs", Macs)) };

/// Rows of `v_frontier_history`, by parameters.
pub(crate) const HISTORY_BY_PARAMS: View = View { kind: "frontier_history", columns: &history(shown("cost", "parameters", Macs)) };

/// Rows of `v_frontier_history`, by latency.
pub(crate) const HISTORY_BY_LATENCY: View = View { kind: "frontier_history", columns: &history(shown("cost", "latency us", Number)) };

const fn history(cost: Column) -> [Column; 18] {
    [
        hidden("sweep", Integer),
        hidden("grouping", Text),
        varied("dataset", Text),
        varied("backbone", Text),
        varied("pattern", Text),
        varied("trainer", Text),
        hidden("cost_metric", Text),
        cost,
        shown("accuracy", "accuracy", Share),
        shown("job", "job", Text),
        wide("policy", "policy", Text),
        wide("setting", "setting", Number),
        shown("entered_us", "entered", Time),
        present("left_us", "left", Time),
        present("displaced_by", "displaced by", Text),
        spare("hypervolume", "area after", Macs),
        hidden("reference_cost", Macs),
        hidden("reference_accuracy", Share),
    ]
}
