//! From records to a file.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offramp_domain::evaluation::{ExitRecords, Records, SplitRecords};
use offramp_domain::outcome::Artifact;
use parquet::basic::{Compression, Encoding};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use crate::layout::{self, COLUMNS, Kind};
use crate::{Header, file_name};

/// Why records could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// They could not be brought into the format.
    #[error("cannot write per-sample records as Parquet")]
    Encode(#[from] ParquetError),
    /// The file could not be written.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The path is one that no database can hold.
    #[error("the path `{}` is not UTF-8", .0.display())]
    Path(PathBuf),
}

/// Writes a file of records into a folder, which is made where it is not there. The file appears whole or not at all: it is written under
/// another name, brought to the disk, and renamed. One that is there already is replaced.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(folder: &Path, header: &Header, records: &Records) -> Result<Artifact, WriteError> {
    let content = encode(header, records)?;
    let at = |path: &Path| {
        let path = path.to_owned();
        |source| WriteError::Io { path, source }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    let folder = folder.canonicalize().map_err(at(folder))?;
    let name = file_name(&header.job, header.attempt);
    let path = folder.join(&name);
    // One process works on an attempt at a time: an older one's may be there, and is worth nothing.
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    let mut file = File::create(&draft).map_err(at(&draft))?;
    let written = file.write_all(&content).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, &path));
    if let Err(source) = written {
        // What is left of it helps nobody.
        let _ = fs::remove_file(&draft);
        return Err(WriteError::Io { path, source });
    }
    // The name as well is to be there after a power failure.
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(at(&folder))?;
    let text = path.into_os_string().into_string().map_err(|path| WriteError::Path(path.into()))?;
    Ok(Artifact { path: text, bytes: content.len() as u64, sha256: sha256(&content) })
}

/// SHA-256, 64 lower-case hexadecimal digits.
pub(crate) fn sha256(content: &[u8]) -> String {
    use std::fmt::Write as _;

    Sha256::digest(content).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

pub(crate) fn encode(header: &Header, records: &Records) -> Result<Vec<u8>, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(metadata(header)))
        .set_created_by(concat!("offramp ", env!("CARGO_PKG_VERSION")).to_owned());
    for (name, kind) in COLUMNS {
        // Scores hardly repeat: a dictionary of them would be as long as they are. Apart, their exponents do repeat.
        if kind == Kind::Real {
            let column = ColumnPath::from(name);
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
            properties = properties.set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT);
        }
    }
    let mut writer = SerializedFileWriter::new(Vec::new(), layout::schema()?, Arc::new(properties.build()))?;
    for (name, split) in [(layout::CALIBRATION, &records.calibration), (layout::TEST, &records.test)] {
        let mut group = writer.next_row_group()?;
        write_split(&mut group, name, split)?;
        group.close()?;
    }
    writer.into_inner()
}

fn metadata(header: &Header) -> Vec<KeyValue> {
    [
        (layout::KEY_FORMAT, layout::FORMAT.to_owned()),
        (layout::KEY_JOB, header.job.as_str().to_owned()),
        (layout::KEY_ATTEMPT, header.attempt.to_string()),
        (layout::KEY_TRAINER, header.trainer.clone()),
        (layout::KEY_CONFIG, header.config.canonical_json()),
    ]
    .into_iter()
    .map(|(key, value)| KeyValue::new(key.to_owned(), value))
    .collect()
}

/// Writes the columns of one split, in the order of the layout.
fn write_split(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, name: &str, split: &SplitRecords) -> Result<(), ParquetError> {
    let n_exits = split.exits.len();
    write_text(group, name, n_exits * split.len())?;
    write_counts(group, &split.indices.repeat(n_exits))?;
    write_counts(group, &split.labels.repeat(n_exits))?;
    let exits: Vec<u32> = (0..n_exits as u32).flat_map(|exit| std::iter::repeat_n(exit, split.len())).collect();
    write_counts(group, &exits)?;
    let counts = |field: fn(&ExitRecords) -> &[u32]| -> Vec<u32> { split.exits.iter().flat_map(field).copied().collect() };
    let reals = |field: fn(&ExitRecords) -> &[f32]| -> Vec<f32> { split.exits.iter().flat_map(field).copied().collect() };
    write_counts(group, &counts(|exit| &exit.prediction))?;
    write_reals(group, &reals(|exit| &exit.confidence))?;
    write_reals(group, &reals(|exit| &exit.entropy))?;
    write_reals(group, &reals(|exit| &exit.margin))?;
    write_reals(group, &reals(|exit| &exit.loss))?;
    write_counts(group, &counts(|exit| &exit.label_rank))?;
    write_counts(group, &counts(|exit| &exit.ensemble_prediction))?;
    write_reals(group, &reals(|exit| &exit.ensemble_confidence))
}

/// Why [`next_column`](SerializedRowGroupWriter::next_column) gives one.
const WRITTEN_IN_ORDER: &str = "a split has the columns of the layout";

fn write_text(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, text: &str, n_rows: usize) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect(WRITTEN_IN_ORDER);
    column.typed::<ByteArrayType>().write_batch(&vec![ByteArray::from(text); n_rows], None, None)?;
    column.close()
}

fn write_counts(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[u32]) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect(WRITTEN_IN_ORDER);
    let bits: Vec<i32> = values.iter().map(|value| value.cast_signed()).collect();
    column.typed::<Int32Type>().write_batch(&bits, None, None)?;
    column.close()
}

fn write_reals(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[f32]) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect(WRITTEN_IN_ORDER);
    column.typed::<FloatType>().write_batch(values, None, None)?;
    column.close()
}
