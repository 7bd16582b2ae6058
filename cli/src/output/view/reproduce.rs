//! Rows of `offramp reproduce`.

use super::Quantity::{Integer, Prose, Text};
use super::{View, shown};

/// What was compared, kind by kind.
pub(crate) const COMPARED: View = View {
    kind: "reproduce",
    columns: &[
        shown("what", "what", Text),
        shown("n_compared", "numbers", Integer),
        shown("n_equal", "equal", Integer),
        shown("n_different", "different", Integer),
        // Differences may be far smaller than any column of numbers shows.
        shown("largest_difference", "largest difference", Prose),
    ],
};

/// Numbers that are not equal, those that differ most first.
pub(crate) const DIFFERENCES: View = View {
    kind: "differences",
    columns: &[
        shown("what", "what", Text),
        shown("place", "of", Prose),
        // With all their digits, in every format.
        shown("stored", "stored", Prose),
        shown("here", "here", Prose),
        shown("difference", "difference", Prose),
    ],
};
