//! The columns of a file, in their order.
//!
//! One row for each sample of each split at each exit: the calibration split first, then the test split, each exit by exit, and of each exit
//! sample by sample in one and the same order. Nothing is null.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `split` | string | `calibration` or `test` |
//! | `index` | uint32 | the sample's place in the dataset's training file (`calibration`) or test file (`test`), from 0 |
//! | `label` | uint32 | its true class |
//! | `exit` | uint32 | the exit's index from 0; the last one is the backbone's own head |
//! | `prediction` | uint32 | most probable class; the lowest among equals |
//! | `confidence` | float | its softmax probability |
//! | `entropy` | float | of the softmax, nats |
//! | `margin` | float | greatest softmax probability less the second greatest |
//! | `loss` | float | cross-entropy, nats |
//! | `label_rank` | uint32 | classes before the true one by probability, then by index; 0 where the prediction is right, below 5 for a top-5 hit |
//! | `ensemble_prediction` | uint32 | most probable class by the mean of the softmaxes of this exit and all before it |
//! | `ensemble_confidence` | float | its probability by that mean |
//!
//! The file's key-value metadata has `offramp.format` (`1`), `offramp.job`, `offramp.attempt`, `offramp.trainer` and `offramp.config` (the
//! job's canonical configuration, JSON).

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

/// Version of what files mean, which readers compare.
pub(crate) const FORMAT: &str = "1";

pub(crate) const KEY_FORMAT: &str = "offramp.format";
pub(crate) const KEY_JOB: &str = "offramp.job";
pub(crate) const KEY_ATTEMPT: &str = "offramp.attempt";
pub(crate) const KEY_TRAINER: &str = "offramp.trainer";
pub(crate) const KEY_CONFIG: &str = "offramp.config";

pub(crate) const CALIBRATION: &str = "calibration";
pub(crate) const TEST: &str = "test";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Count,
    Real,
}

/// The columns: name and kind.
pub(crate) const COLUMNS: [(&str, Kind); 12] = [
    ("split", Kind::Text),
    ("index", Kind::Count),
    ("label", Kind::Count),
    ("exit", Kind::Count),
    ("prediction", Kind::Count),
    ("confidence", Kind::Real),
    ("entropy", Kind::Real),
    ("margin", Kind::Real),
    ("loss", Kind::Real),
    ("label_rank", Kind::Count),
    ("ensemble_prediction", Kind::Count),
    ("ensemble_confidence", Kind::Real),
];

/// The schema of every file.
pub(crate) fn schema() -> Result<TypePtr, ParquetError> {
    let column = |&(name, kind): &(&str, Kind)| {
        let (physical, logical) = match kind {
            Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Count => (PhysicalType::INT32, Some(LogicalType::integer(32, false))),
            Kind::Real => (PhysicalType::FLOAT, None),
        };
        let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
        builder.with_logical_type(logical).build().map(Arc::new)
    };
    let fields = COLUMNS.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("records").with_fields(fields).build().map(Arc::new)
}
