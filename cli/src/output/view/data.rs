//! Rows of `offramp data`.

use super::Quantity::{Integer, Ordinal, Prose, Text};
use super::{View, hidden, present, shown, wide};

/// Datasets, for `data list`.
pub(crate) const DATASETS: View = View {
    kind: "datasets",
    columns: &[
        shown("dataset", "dataset", Text),
        shown("state", "state", Text),
        present("detail", "detail", Prose),
        wide("images", "images", Text),
        wide("shape", "shape", Text),
        wide("classes", "classes", Ordinal),
        shown("download", "download", Text),
        hidden("download_bytes", Integer),
        hidden("checksums", Prose),
        hidden("folder", Prose),
        shown("licence", "licence", Prose),
        hidden("citation", Prose),
    ],
};

/// What `data fetch` did.
pub(crate) const FETCHED: View = View {
    kind: "fetched",
    columns: &[
        shown("dataset", "dataset", Text),
        shown("file", "file", Text),
        shown("result", "result", Text),
        shown("path", "path", Prose),
    ],
};

/// What `data verify` found.
pub(crate) const VERIFIED: View = View {
    kind: "verified",
    columns: &[
        shown("dataset", "dataset", Text),
        shown("checked", "checked", Text),
        shown("verdict", "verdict", Text),
        shown("detail", "detail", Prose),
    ],
};
