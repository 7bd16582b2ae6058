//! Tables as Parquet files: batches of rows written as they come, and read back piece by piece, in memory that does not grow with the number of
//! rows.
//!
//! Whole numbers are INT64, reals DOUBLE, texts and JSON STRING, flags BOOLEAN, and moments TIMESTAMP in microseconds, UTC. Columns that may lack
//! a value are OPTIONAL. The file's key-value metadata has `offramp.version` (of the program that wrote it), `offramp.view`, and whatever else the
//! writer is told of.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use offramp_domain::table::{Column, Kind};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

pub use read::{ReadTableError, TableReader};
pub use write::{TableWriter, WriteTableError};

/// Names the program's version that wrote a file.
pub const KEY_VERSION: &str = "offramp.version";
/// Names the view that the rows are of.
pub const KEY_VIEW: &str = "offramp.view";

/// Rows of one row group at most: the size that readers work on at once, and the most that a writer keeps.
const GROUP_ROWS: usize = 1 << 16;
/// Bytes that a writer keeps at most, whatever rows they are: messages and configurations are longer than numbers.
const GROUP_BYTES: usize = 16 << 20;

/// The type of one column.
fn column_type(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.kind {
        Kind::Integer => (PhysicalType::INT64, None),
        Kind::Time => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Real => (PhysicalType::DOUBLE, None),
        // Some readers take the logical type JSON for bytes.
        Kind::Text | Kind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Flag => (PhysicalType::BOOLEAN, None),
    };
    let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Type::primitive_type_builder(column.name, physical).with_repetition(repetition).with_logical_type(logical).build()
}

/// The schema of a file with these columns.
fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(|column| column_type(column).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("rows").with_fields(fields).build().map(Arc::new)
}
