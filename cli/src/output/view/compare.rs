//! Rows of cells and of what they come to against each other: `offramp compare`, `offramp patterns`, `offramp sweep diff`.

use super::Quantity::{Decimal, Error, Integer, Macs, Number, Numbers, P, Points, Prose, Recipe, Share, Signed, Text};
use super::{Column, Quantity, View, hidden, present, shown, spare, varied, wide};

/// Levels of a factor, by area.
pub(crate) const LEVELS: View = View { kind: "levels", columns: &levels(Decimal) };
/// The same, by an accuracy.
pub(crate) const LEVELS_BY_ACCURACY: View = View { kind: "levels", columns: &levels(Share) };

const fn levels(quantity: Quantity) -> [Column; 7] {
    [
        shown("level", "level", Text),
        shown("n_cells", "cells", Integer),
        shown("n_jobs", "jobs", Integer),
        present("n_without_result", "without result", Integer),
        shown("mean", "mean", quantity),
        shown("deviation", "+-", quantity),
        present("mean_rank", "mean rank", Decimal),
    ]
}

/// Pairs of levels, by area.
pub(crate) const PAIRS: View = View { kind: "pairs", columns: &pairs(Signed) };
/// The same, by an accuracy.
pub(crate) const PAIRS_BY_ACCURACY: View = View { kind: "pairs", columns: &pairs(Points) };

const fn pairs(quantity: Quantity) -> [Column; 19] {
    [
        shown("level", "level", Text),
        shown("other", "less", Text),
        wide("n_blocks", "blocks", Integer),
        shown("n_pairs", "pairs", Integer),
        present("n_incomplete", "incomplete", Integer),
        shown("mean_difference", "difference", quantity),
        shown("low", "from", quantity),
        shown("high", "to", quantity),
        wide("n_wins", "wins", Integer),
        wide("n_ties", "ties", Integer),
        wide("n_losses", "losses", Integer),
        hidden("wilcoxon_statistic", Number),
        wide("p_value", "p", P),
        hidden("p_method", Text),
        shown("p_holm", "p (Holm)", P),
        Column { name: "p_nemenyi", header: "p (Nemenyi)", shown: super::Shown::IfPresentAndRoom, quantity: P },
        spare("rank_biserial", "rank r", Signed),
        spare("cohens_dz", "d", Signed),
        Column { name: "missing", header: "missing", shown: super::Shown::IfPresentAndRoom, quantity: Prose },
    ]
}

/// Friedman's test.
pub(crate) const FRIEDMAN: View = View {
    kind: "friedman",
    columns: &[
        shown("n_blocks", "blocks", Integer),
        shown("n_levels", "levels", Integer),
        shown("chi_squared", "chi-squared", Number),
        shown("p_value", "p", P),
        shown("iman_davenport", "F", Number),
        shown("iman_davenport_p", "p", P),
        shown("critical_difference", "critical difference", Number),
    ],
};

/// Rows of `v_patterns`.
pub(crate) const PATTERNS: View = View {
    kind: "patterns",
    columns: &[
        hidden("sweep", Integer),
        shown("backbone", "backbone", Text),
        varied("dataset", Text),
        varied("exits", Text),
        varied("budget", Text),
        varied("recipe", Recipe),
        shown("pattern", "pattern", Text),
        shown("n_seeds", "seeds", Integer),
        shown("area_mean", "area", Decimal),
        wide("area_deviation", "+-", Decimal),
        shown("final_accuracy_mean", "final exit", Share),
        wide("final_accuracy_deviation", "+-", Share),
        spare("budget_error", "budget error", Error),
        spare("branch_macs", "branch MACs", Macs),
        hidden("backbone_macs", Macs),
    ],
};

/// Cells over their seeds, by area.
pub(crate) const CELLS: View = View { kind: "cells", columns: &cells(Decimal) };
/// The same, by an accuracy.
pub(crate) const CELLS_BY_ACCURACY: View = View { kind: "cells", columns: &cells(Share) };

const fn cells(quantity: Quantity) -> [Column; 16] {
    [
        shown("backbone", "backbone", Text),
        varied("dataset", Text),
        varied("exits", Text),
        varied("budget", Text),
        shown("pattern", "pattern", Text),
        varied("recipe", Recipe),
        hidden("branch_rule", Text),
        shown("n_seeds", "seeds", Integer),
        present("n_without_result", "without result", Integer),
        shown("mean", "mean", quantity),
        wide("deviation", "+-", quantity),
        shown("low", "from", quantity),
        shown("high", "to", quantity),
        hidden("missing", Prose),
        spare("branch_macs", "branch MACs", Macs),
        hidden("backbone_macs", Macs),
    ]
}

/// What two sweep files say differently.
pub(crate) const SWEEP_DIFFERENCES: View =
    View { kind: "sweep_differences", columns: &[shown("place", "place", Text), shown("a", "A", Prose), shown("b", "B", Prose)] };

/// Jobs that one of two sweeps has alone, by cell.
pub(crate) const SWEEP_CELL_DIFFERENCES: View = View {
    kind: "sweep_cell_differences",
    columns: &[
        shown("only_in", "only in", Text),
        shown("backbone", "backbone", Text),
        varied("dataset", Text),
        varied("exits", Text),
        varied("budget", Text),
        shown("pattern", "pattern", Text),
        varied("recipe", Recipe),
        shown("n_jobs", "jobs", Integer),
        shown("n_succeeded", "with a result", Integer),
        wide("seeds", "seeds", Numbers),
        hidden("jobs", Numbers),
    ],
};
