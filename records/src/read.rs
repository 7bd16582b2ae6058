//! From a file to records.

use std::collections::HashMap;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use offramp_domain::evaluation::{ExitRecords, Records, SplitRecords};
use offramp_domain::job::{ConfigError, JobConfig, JobKey};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArrayType, DataType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::Header;
use crate::layout::{self, COLUMNS};
use crate::write::sha256;

/// Why a file of records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system said no.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not the file that was written.
    #[error("`{}` has SHA-256 {found}, the one that was written had {expected}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// What it should be.
        expected: String,
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
    /// It is a Parquet file of something else.
    #[error("`{}` has no per-sample records as this build writes them: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
    /// Its job has a configuration that this build does not know.
    #[error("the job of `{}` cannot be understood", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ConfigError,
    },
}

/// What is wrong with a file, whose path is known elsewhere.
#[derive(Debug)]
enum Fault {
    Parquet(ParquetError),
    Layout(String),
    Config(ConfigError),
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// Reads a file of records, and says what they are of. With a digest, any other file is refused.
///
/// # Errors
/// When the file cannot be read, is not the one with this digest, or has other contents than [`layout`] says.
pub fn read(path: &Path, expected_sha256: Option<&str>) -> Result<(Header, Records), ReadError> {
    let content = std::fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    if let Some(expected) = expected_sha256 {
        let found = sha256(&content);
        if found != expected {
            return Err(ReadError::Digest { path: path.to_owned(), found, expected: expected.to_owned() });
        }
    }
    // The library panics where a damaged file's numbers contradict each other.
    let decoded =
        catch_unwind(|| decode(content)).unwrap_or_else(|_| Err(ParquetError::General("it contradicts itself".to_owned()).into()));
    decoded.map_err(|fault| {
        let path = path.to_owned();
        match fault {
            Fault::Parquet(source) => ReadError::Parquet { path, source },
            Fault::Layout(reason) => ReadError::Layout { path, reason },
            Fault::Config(source) => ReadError::Config { path, source },
        }
    })
}

fn decode(content: Vec<u8>) -> Result<(Header, Records), Fault> {
    let reader = SerializedFileReader::new(Bytes::from(content))?;
    let header = header(&reader)?;
    check_schema(&reader)?;
    let columns = Columns::read(&reader)?;
    let n_calibration = columns.split.iter().take_while(|split| *split == layout::CALIBRATION.as_bytes()).count();
    if columns.split[n_calibration..].iter().any(|split| split != layout::TEST.as_bytes()) {
        return Err(Fault::Layout("rows are of `calibration`, then of `test`".to_owned()));
    }
    let calibration = columns.records(layout::CALIBRATION, 0..n_calibration)?;
    let test = columns.records(layout::TEST, n_calibration..columns.split.len())?;
    if calibration.exits.len() != test.exits.len() {
        return Err(Fault::Layout("both splits have the same exits".to_owned()));
    }
    Ok((header, Records { calibration, test }))
}

fn header(reader: &SerializedFileReader<Bytes>) -> Result<Header, Fault> {
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    let pairs: HashMap<&str, &str> =
        pairs.into_iter().flatten().filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?))).collect();
    let value = |key: &str| pairs.get(key).copied().ok_or_else(|| Fault::Layout(format!("its metadata lacks `{key}`")));
    let format = value(layout::KEY_FORMAT)?;
    if format != layout::FORMAT {
        return Err(Fault::Layout(format!("it is of format {}, not {}", format.escape_debug(), layout::FORMAT)));
    }
    let invalid = |key: &str| Fault::Layout(format!("`{key}` in its metadata makes no sense"));
    Ok(Header {
        job: JobKey::parse(value(layout::KEY_JOB)?).ok_or_else(|| invalid(layout::KEY_JOB))?,
        attempt: value(layout::KEY_ATTEMPT)?.parse().map_err(|_| invalid(layout::KEY_ATTEMPT))?,
        trainer: value(layout::KEY_TRAINER)?.to_owned(),
        config: JobConfig::from_json(value(layout::KEY_CONFIG)?).map_err(Fault::Config)?,
    })
}

fn check_schema(reader: &SerializedFileReader<Bytes>) -> Result<(), Fault> {
    let found = reader.metadata().file_metadata().schema_descr().columns();
    let expected = layout::schema()?;
    let same = found.len() == COLUMNS.len()
        && found.iter().zip(expected.get_fields()).all(|(found, expected)| {
            found.self_type().name() == expected.name()
                && found.self_type().get_physical_type() == expected.get_physical_type()
                && found.max_def_level() == 0
                && found.max_rep_level() == 0
        });
    if same { Ok(()) } else { Err(Fault::Layout("it has other columns".to_owned())) }
}

/// Everything in a file, column by column.
#[derive(Debug, Default)]
struct Columns {
    split: Vec<Vec<u8>>,
    /// Those of whole numbers, in the order of the layout.
    counts: [Vec<u32>; 6],
    /// Those of reals, in the order of the layout.
    reals: [Vec<f32>; 5],
}

impl Columns {
    fn read(reader: &SerializedFileReader<Bytes>) -> Result<Self, Fault> {
        let mut columns = Self::default();
        let (mut next_count, mut next_real) = (0, 0);
        for (column, (_, kind)) in COLUMNS.iter().enumerate() {
            match kind {
                layout::Kind::Text => {
                    let texts = read_column::<ByteArrayType>(reader, column)?;
                    columns.split = texts.iter().map(|text| text.data().to_vec()).collect();
                }
                layout::Kind::Count => {
                    let bits = read_column::<Int32Type>(reader, column)?;
                    columns.counts[next_count] = bits.into_iter().map(i32::cast_unsigned).collect();
                    next_count += 1;
                }
                layout::Kind::Real => {
                    columns.reals[next_real] = read_column::<FloatType>(reader, column)?;
                    next_real += 1;
                }
            }
        }
        let n_rows = columns.split.len();
        let lengths = columns.counts.iter().map(Vec::len).chain(columns.reals.iter().map(Vec::len));
        if lengths.into_iter().any(|length| length != n_rows) {
            return Err(Fault::Layout("its columns differ in length".to_owned()));
        }
        Ok(columns)
    }

    /// The rows of one split.
    fn records(&self, name: &str, rows: std::ops::Range<usize>) -> Result<SplitRecords, Fault> {
        let wrong = |what: &str| Fault::Layout(format!("the rows of `{name}` are not {what}"));
        let [indices, labels, exits, ..] = self.counts.each_ref().map(|column| &column[rows.clone()]);
        let n_samples = exits.iter().take_while(|exit| **exit == 0).count();
        if n_samples == 0 || !rows.len().is_multiple_of(n_samples) {
            return Err(wrong("every exit's of every sample"));
        }
        if (0..).zip(exits.chunks(n_samples)).any(|(index, exits)| exits.iter().any(|exit| *exit != index)) {
            return Err(wrong("exit by exit"));
        }
        if [indices, labels].into_iter().any(|column| column.chunks(n_samples).any(|chunk| *chunk != column[..n_samples])) {
            return Err(wrong("of the same samples at every exit"));
        }
        let exits = (rows.start..rows.end).step_by(n_samples).map(|start| self.exit(start..start + n_samples));
        Ok(SplitRecords { indices: indices[..n_samples].to_vec(), labels: labels[..n_samples].to_vec(), exits: exits.collect() })
    }

    fn exit(&self, rows: std::ops::Range<usize>) -> ExitRecords {
        let [_, _, _, prediction, label_rank, ensemble_prediction] = self.counts.each_ref().map(|column| column[rows.clone()].to_vec());
        let [confidence, entropy, margin, loss, ensemble_confidence] = self.reals.each_ref().map(|column| column[rows.clone()].to_vec());
        ExitRecords { prediction, confidence, entropy, margin, loss, label_rank, ensemble_prediction, ensemble_confidence }
    }
}

/// One column of all row groups.
fn read_column<T: DataType>(reader: &SerializedFileReader<Bytes>, column: usize) -> Result<Vec<T::T>, ParquetError> {
    let mut values = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        let mut column = get_typed_column_reader::<T>(group.get_column_reader(column)?);
        // A file may say that it has more rows than it has; what is read is what is there.
        while column.read_records(ROWS_AT_ONCE, None, None, &mut values)?.0 > 0 {}
    }
    Ok(values)
}

/// Enough for few calls, and little enough to be asked for in vain.
const ROWS_AT_ONCE: usize = 1 << 16;
