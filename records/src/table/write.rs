//! From batches to a file.

use std::io::Write;
use std::sync::Arc;

use offramp_domain::table::{Array, Batch, Column};
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::{GROUP_BYTES, GROUP_ROWS, KEY_VERSION, KEY_VIEW, schema};

/// Why a table could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteTableError {
    /// The library said no, or what it writes to.
    #[error("cannot write a table as Parquet")]
    Parquet(#[from] ParquetError),
    /// A column that always has a value has none.
    #[error("row {row} has no `{column}`, which every row of `{view}` has")]
    Missing {
        /// The view.
        view: String,
        /// The column.
        column: &'static str,
        /// The row's place, from 0.
        row: u64,
    },
}

/// Writes rows as they come. Without [`finish`](Self::finish) there is no file that anybody can read.
pub struct TableWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    view: String,
    columns: Vec<Column>,
    /// What is not written yet.
    kept: Vec<Batch>,
    n_kept_rows: usize,
    pub(super) n_kept_bytes: usize,
    n_written_rows: u64,
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a file of these columns of a view. `metadata` joins the file's key-value metadata.
    ///
    /// # Errors
    /// When `sink` cannot be written.
    pub fn new(sink: W, view: &str, columns: &[Column], metadata: &[(&str, String)]) -> Result<Self, WriteTableError> {
        let own = [(KEY_VERSION, env!("CARGO_PKG_VERSION").to_owned()), (KEY_VIEW, view.to_owned())];
        let pairs = own.iter().chain(metadata).map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // Whole texts in the footer would make it grow with them; least and greatest of a row group are what readers skip by.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_key_value_metadata(Some(pairs))
            .set_created_by(concat!("offramp ", env!("CARGO_PKG_VERSION")).to_owned());
        let file = SerializedFileWriter::new(sink, schema(columns)?, Arc::new(properties.build()))?;
        let view = view.to_owned();
        Ok(Self { file, view, columns: columns.to_vec(), kept: Vec::new(), n_kept_rows: 0, n_kept_bytes: 0, n_written_rows: 0 })
    }

    /// Takes rows with the columns of [`Self::new`].
    ///
    /// # Errors
    /// When the sink cannot be written, or a value is missing that must be there.
    ///
    /// # Panics
    /// When the batch has other columns.
    pub fn write(&mut self, batch: Batch) -> Result<(), WriteTableError> {
        assert_eq!(batch.columns.len(), self.columns.len(), "a batch has the columns of its file");
        if batch.n_rows == 0 {
            return Ok(());
        }
        self.n_kept_rows += batch.n_rows;
        self.n_kept_bytes += batch.columns.iter().map(n_bytes).sum::<usize>();
        self.kept.push(batch);
        if self.n_kept_rows >= GROUP_ROWS || self.n_kept_bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    /// Rows taken so far.
    pub fn n_rows(&self) -> u64 {
        self.n_written_rows + self.n_kept_rows as u64
    }

    /// Writes what is left, and the footer that makes a file of it.
    ///
    /// # Errors
    /// When the sink cannot be written.
    pub fn finish(mut self) -> Result<W, WriteTableError> {
        self.flush()?;
        Ok(self.file.into_inner()?)
    }

    /// Writes a row group of what is kept.
    fn flush(&mut self) -> Result<(), WriteTableError> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (index, column) in self.columns.iter().enumerate() {
            let arrays: Vec<&Array> = self.kept.iter().map(|batch| &batch.columns[index]).collect();
            if !column.nullable
                && let Some(row) = first_missing(&arrays)
            {
                let (view, row) = (self.view.clone(), self.n_written_rows + row as u64);
                return Err(WriteTableError::Missing { view, column: column.name, row });
            }
            write_column(&mut group, column, &arrays)?;
        }
        group.close()?;
        self.n_written_rows += self.n_kept_rows as u64;
        (self.n_kept_rows, self.n_kept_bytes) = (0, 0);
        self.kept.clear();
        Ok(())
    }
}

/// About what an array takes in memory.
fn n_bytes(array: &Array) -> usize {
    match array {
        Array::Integers(values) => size_of_val(values.as_slice()),
        Array::Reals(values) => size_of_val(values.as_slice()),
        Array::Flags(values) => size_of_val(values.as_slice()),
        Array::Texts(values) => size_of_val(values.as_slice()) + values.iter().flatten().map(String::len).sum::<usize>(),
    }
}

/// The place of the first row without a value.
fn first_missing(arrays: &[&Array]) -> Option<usize> {
    let mut n_before = 0;
    for array in arrays {
        let (missing, n_rows) = match array {
            Array::Integers(values) => (values.iter().position(Option::is_none), values.len()),
            Array::Reals(values) => (values.iter().position(Option::is_none), values.len()),
            Array::Texts(values) => (values.iter().position(Option::is_none), values.len()),
            Array::Flags(values) => (values.iter().position(Option::is_none), values.len()),
        };
        if let Some(row) = missing {
            return Some(n_before + row);
        }
        n_before += n_rows;
    }
    None
}

fn write_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
    arrays: &[&Array],
) -> Result<(), ParquetError> {
    match Array::empty(column.kind) {
        Array::Integers(_) => write_values::<Int64Type, _, i64>(
            group,
            column,
            arrays,
            |array| match array {
                Array::Integers(values) => values,
                other => mismatch(column, other),
            },
            |value| *value,
        ),
        Array::Reals(_) => write_values::<DoubleType, _, f64>(
            group,
            column,
            arrays,
            |array| match array {
                Array::Reals(values) => values,
                other => mismatch(column, other),
            },
            |value| *value,
        ),
        Array::Texts(_) => write_values::<ByteArrayType, _, String>(
            group,
            column,
            arrays,
            |array| match array {
                Array::Texts(values) => values,
                other => mismatch(column, other),
            },
            |value| ByteArray::from(value.as_str()),
        ),
        Array::Flags(_) => write_values::<BoolType, _, bool>(
            group,
            column,
            arrays,
            |array| match array {
                Array::Flags(values) => values,
                other => mismatch(column, other),
            },
            |value| *value,
        ),
    }
}

/// A batch whose arrays are not what its columns say is a bug of whoever made it.
fn mismatch(column: &Column, array: &Array) -> ! {
    panic!("column `{}` of kind {:?} with {array:?}", column.name, column.kind)
}

fn write_values<T: DataType, W: Write + Send, V>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
    arrays: &[&Array],
    values_of: impl Fn(&Array) -> &[Option<V>],
    convert: impl Fn(&V) -> T::T,
) -> Result<(), ParquetError> {
    let mut writer = group.next_column()?.expect("a row group has the columns of its file");
    for array in arrays {
        let optional = values_of(array);
        let values: Vec<T::T> = optional.iter().flatten().map(&convert).collect();
        let levels: Option<Vec<i16>> = column.nullable.then(|| optional.iter().map(|value| i16::from(value.is_some())).collect());
        writer.typed::<T>().write_batch(&values, levels.as_deref(), None)?;
    }
    writer.close()
}
