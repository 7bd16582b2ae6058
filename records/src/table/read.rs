//! From a file to batches.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use offramp_domain::table::{Array, BATCH_ROWS, Batch, Column, Kind};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::column_type;

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadTableError {
    /// The system said no.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not a Parquet file, or a damaged one.
    #[error("`{}` is not a Parquet file in one piece", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ParquetError,
    },
    /// It is a table of something else.
    #[error("`{}` is no table of this kind: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
}

/// What is wrong with a file, whose path is known elsewhere.
#[derive(Debug)]
enum Fault {
    Parquet(ParquetError),
    Layout(String),
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// Reads a table piece by piece. Files of strangers are welcome: what is not exactly such a table is an error.
pub struct TableReader {
    path: PathBuf,
    file: SerializedFileReader<File>,
    columns: Vec<Column>,
    /// The row group that is next.
    next_group: usize,
    /// Readers of the columns of the one before, and the rows that are left of it.
    open: Option<(Vec<Reader>, usize)>,
}

/// A reader of one column of a row group.
enum Reader {
    Integers(ColumnReaderImpl<Int64Type>),
    Reals(ColumnReaderImpl<DoubleType>),
    Texts(ColumnReaderImpl<ByteArrayType>),
    Flags(ColumnReaderImpl<BoolType>),
}

impl TableReader {
    /// Opens a file that has exactly these columns.
    ///
    /// # Errors
    /// When it cannot be read, is no Parquet file, or has other columns.
    pub fn open(path: &Path, columns: &[Column]) -> Result<Self, ReadTableError> {
        let file = File::open(path).map_err(|source| ReadTableError::Io { path: path.to_owned(), source })?;
        let opened = guarded(|| {
            let file = SerializedFileReader::new(file)?;
            check_schema(&file, columns)?;
            Ok(file)
        });
        let file = opened.map_err(|fault| fault_error(path, fault))?;
        Ok(Self { path: path.to_owned(), file, columns: columns.to_vec(), next_group: 0, open: None })
    }

    /// A value of the file's key-value metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let pairs = self.file.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// The next rows; nothing after the last.
    ///
    /// # Errors
    /// When the file is damaged, or a text is not UTF-8.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, ReadTableError> {
        // After a panic the reader is not used again: the caller has an error.
        let read = guarded(AssertUnwindSafe(|| self.try_next()));
        read.map_err(|fault| fault_error(&self.path, fault))
    }

    fn try_next(&mut self) -> Result<Option<Batch>, Fault> {
        loop {
            if let Some((readers, n_left)) = &mut self.open
                && *n_left > 0
            {
                let n_rows = BATCH_ROWS.min(*n_left);
                let columns = self.columns.iter().zip(readers);
                let columns = columns.map(|(column, reader)| reader.read(column, n_rows)).collect::<Result<_, _>>()?;
                *n_left -= n_rows;
                return Ok(Some(Batch { columns, n_rows }));
            }
            if self.next_group == self.file.num_row_groups() {
                return Ok(None);
            }
            let group = self.file.get_row_group(self.next_group)?;
            let n_rows = usize::try_from(group.metadata().num_rows()).map_err(|_| contradiction())?;
            let readers =
                self.columns.iter().enumerate().map(|(index, column)| Ok(Reader::new(column.kind, group.get_column_reader(index)?)));
            self.open = Some((readers.collect::<Result<_, ParquetError>>()?, n_rows));
            self.next_group += 1;
        }
    }
}

impl Reader {
    fn new(kind: Kind, reader: ColumnReader) -> Self {
        match Array::empty(kind) {
            Array::Integers(_) => Self::Integers(get_typed_column_reader(reader)),
            Array::Reals(_) => Self::Reals(get_typed_column_reader(reader)),
            Array::Texts(_) => Self::Texts(get_typed_column_reader(reader)),
            Array::Flags(_) => Self::Flags(get_typed_column_reader(reader)),
        }
    }

    /// The next `n_rows` values.
    fn read(&mut self, column: &Column, n_rows: usize) -> Result<Array, Fault> {
        Ok(match self {
            Self::Integers(reader) => Array::Integers(values(reader, column, n_rows, |value| Ok(*value))?),
            Self::Reals(reader) => Array::Reals(values(reader, column, n_rows, |value| Ok(*value))?),
            Self::Flags(reader) => Array::Flags(values(reader, column, n_rows, |value| Ok(*value))?),
            Self::Texts(reader) => Array::Texts(values(reader, column, n_rows, |value: &ByteArray| {
                let text = String::from_utf8(value.data().to_vec());
                text.map_err(|_| Fault::Layout(format!("`{}` has a text that is not UTF-8", column.name)))
            })?),
        })
    }
}

fn values<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    column: &Column,
    n_rows: usize,
    convert: impl Fn(&T::T) -> Result<V, Fault>,
) -> Result<Vec<Option<V>>, Fault> {
    let (mut found, mut levels) = (Vec::new(), Vec::new());
    let mut n_read = 0;
    while n_read < n_rows {
        let levels = column.nullable.then_some(&mut levels);
        let (n_records, ..) = reader.read_records(n_rows - n_read, levels, None, &mut found)?;
        if n_records == 0 {
            // It says that it has more rows than it has.
            return Err(contradiction());
        }
        n_read += n_records;
    }
    let mut found = found.iter().map(convert);
    if !column.nullable {
        return found.map(|value| value.map(Some)).collect();
    }
    levels.iter().map(|level| if *level == 1 { found.next().ok_or_else(contradiction)?.map(Some) } else { Ok(None) }).collect()
}

fn check_schema(file: &SerializedFileReader<File>, columns: &[Column]) -> Result<(), Fault> {
    let found = file.metadata().file_metadata().schema_descr().root_schema().get_fields();
    let names = || found.iter().map(|field| field.name().escape_debug().to_string()).take(40).collect::<Vec<_>>().join("`, `");
    if found.len() != columns.len() || found.iter().zip(columns).any(|(found, column)| found.name() != column.name) {
        return Err(Fault::Layout(format!("its columns are `{}`", names())));
    }
    for (found, column) in found.iter().zip(columns) {
        let expected = column_type(column)?;
        let same = found.is_primitive()
            && found.get_physical_type() == expected.get_physical_type()
            && found.get_basic_info().logical_type_ref() == expected.get_basic_info().logical_type_ref()
            && found.get_basic_info().has_repetition()
            && found.get_basic_info().repetition() == expected.get_basic_info().repetition();
        if !same {
            return Err(Fault::Layout(format!("its column `{}` is of another type", column.name)));
        }
    }
    Ok(())
}

/// The library panics where a damaged file's numbers contradict each other.
fn guarded<T>(read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(contradiction()))
}

fn contradiction() -> Fault {
    Fault::Parquet(ParquetError::General("it contradicts itself".to_owned()))
}

fn fault_error(path: &Path, fault: Fault) -> ReadTableError {
    let path = path.to_owned();
    match fault {
        Fault::Parquet(source) => ReadTableError::Parquet { path, source },
        Fault::Layout(reason) => ReadTableError::Layout { path, reason },
    }
}
