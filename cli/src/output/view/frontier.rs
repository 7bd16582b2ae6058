//! Frontiers and their history: the cost's name and unit are those of what was asked for.

use super::Quantity::{Integer, Macs, Number, Recipe, Share, Text, Time};
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
