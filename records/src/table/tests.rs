use std::fs;
use std::path::Path;

use offramp_domain::table::{Array, BATCH_ROWS, Batch};
use parquet::basic::ConvertedType;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;

const fn column(name: &'static str, kind: Kind, nullable: bool) -> Column {
    Column { name, kind, nullable }
}

const COLUMNS: [Column; 7] = [
    column("job", Kind::Text, false),
    column("exit", Kind::Integer, false),
    column("is_final", Kind::Flag, false),
    column("accuracy", Kind::Real, true),
    column("finished_us", Kind::Time, true),
    column("exit_shares", Kind::Json, true),
    column("error", Kind::Text, true),
];

/// Rows from number `first` on, every third without what it may lack.
fn batch(first: usize, n_rows: usize) -> Batch {
    let rows = || first..first + n_rows;
    let sparse = |row: &usize| !row.is_multiple_of(3);
    Batch {
        columns: vec![
            Array::Texts(rows().map(|row| Some(format!("{row:012x}"))).collect()),
            Array::Integers(rows().map(|row| Some(row as i64 - 1)).collect()),
            Array::Flags(rows().map(|row| Some(row % 2 == 0)).collect()),
            Array::Reals(rows().map(|row| sparse(&row).then_some(1.0 / row as f64)).collect()),
            Array::Integers(rows().map(|row| sparse(&row).then_some(1_700_000_000_000_000 + row as i64)).collect()),
            Array::Texts(rows().map(|row| sparse(&row).then(|| format!("[0.{row}]"))).collect()),
            Array::Texts(rows().map(|row| sparse(&row).then(|| "=1+1\n\u{1F600}".to_owned())).collect()),
        ],
        n_rows,
    }
}

fn written(path: &Path, batches: impl IntoIterator<Item = Batch>) {
    let sweep = [("offramp.sweep", "3".to_owned())];
    let mut writer = TableWriter::new(fs::File::create(path).unwrap(), "v_exits", &COLUMNS, &sweep).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

fn read(path: &Path) -> Result<Vec<Batch>, ReadTableError> {
    let mut reader = TableReader::open(path, &COLUMNS)?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch);
    }
    Ok(batches)
}

/// Batches as one.
fn joined(batches: Vec<Batch>) -> Batch {
    let mut batches = batches.into_iter();
    let mut all = batches.next().unwrap();
    for batch in batches {
        all.n_rows += batch.n_rows;
        for (all, more) in all.columns.iter_mut().zip(batch.columns) {
            match (all, more) {
                (Array::Integers(all), Array::Integers(more)) => all.extend(more),
                (Array::Reals(all), Array::Reals(more)) => all.extend(more),
                (Array::Texts(all), Array::Texts(more)) => all.extend(more),
                (Array::Flags(all), Array::Flags(more)) => all.extend(more),
                (all, more) => panic!("{all:?} and {more:?}"),
            }
        }
    }
    all
}

#[test]
fn rows_come_back_as_they_were_over_several_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exits.parquet");
    let n_rows = GROUP_ROWS + 1_000;
    written(&path, (0..n_rows).step_by(1_000).map(|first| batch(first, 1_000.min(n_rows - first))));
    let file = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    assert!(file.num_row_groups() >= 2, "{}", file.num_row_groups());
    let batches = read(&path).unwrap();
    assert!(batches.iter().all(|batch| batch.n_rows <= BATCH_ROWS));
    assert_eq!(joined(batches), batch(0, n_rows));
}

#[test]
fn files_say_what_they_hold_in_types_that_others_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exits.parquet");
    written(&path, [batch(0, 4)]);
    let reader = TableReader::open(&path, &COLUMNS).unwrap();
    assert_eq!(reader.metadata(KEY_VIEW), Some("v_exits"));
    assert_eq!(reader.metadata(KEY_VERSION), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(reader.metadata("offramp.sweep"), Some("3"));
    assert_eq!(reader.metadata("offramp.other"), None);
    let file = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let schema = file.metadata().file_metadata().schema_descr();
    // Both the older and the newer way of telling types, for readers of either.
    let types: Vec<_> = schema.columns().iter().map(|column| (column.name(), column.physical_type(), column.converted_type())).collect();
    assert_eq!(
        types,
        [
            ("job", PhysicalType::BYTE_ARRAY, ConvertedType::UTF8),
            ("exit", PhysicalType::INT64, ConvertedType::NONE),
            ("is_final", PhysicalType::BOOLEAN, ConvertedType::NONE),
            ("accuracy", PhysicalType::DOUBLE, ConvertedType::NONE),
            ("finished_us", PhysicalType::INT64, ConvertedType::TIMESTAMP_MICROS),
            ("exit_shares", PhysicalType::BYTE_ARRAY, ConvertedType::UTF8),
            ("error", PhysicalType::BYTE_ARRAY, ConvertedType::UTF8),
        ]
    );
    let levels: Vec<i16> = schema.columns().iter().map(|column| column.max_def_level()).collect();
    assert_eq!(levels, [0, 0, 0, 1, 1, 1, 1]);
}

#[test]
fn a_table_without_rows_is_a_file_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.parquet");
    written(&path, [batch(0, 0)]);
    assert_eq!(read(&path).unwrap(), []);
}

#[test]
fn long_texts_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.parquet");
    let columns = [column("error", Kind::Text, true)];
    let mut writer = TableWriter::new(fs::File::create(&path).unwrap(), "v_jobs", &columns, &[]).unwrap();
    for _ in 0..40 {
        writer.write(Batch { columns: vec![Array::Texts(vec![Some("x".repeat(8_000)); 100])], n_rows: 100 }).unwrap();
        assert!(writer.n_kept_bytes < GROUP_BYTES, "{}", writer.n_kept_bytes);
    }
    assert_eq!(writer.n_rows(), 4_000);
    writer.finish().unwrap();
    assert!(SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap().num_row_groups() > 1);
}

#[test]
fn a_value_that_must_be_there_is_missed() {
    let mut writer = TableWriter::new(Vec::new(), "v_exits", &COLUMNS, &[]).unwrap();
    let mut spoilt = batch(0, 5);
    spoilt.columns[1] = Array::Integers(vec![Some(0), Some(1), Some(2), None, Some(4)]);
    writer.write(batch(0, 10)).unwrap();
    writer.write(spoilt).unwrap();
    let error = writer.finish().err().unwrap().to_string();
    assert_eq!(error, "row 13 has no `exit`, which every row of `v_exits` has");
}

#[test]
fn other_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exits.parquet");
    written(&path, [batch(0, 4)]);
    let reason = |columns: &[Column]| match TableReader::open(&path, columns).err().unwrap() {
        ReadTableError::Layout { reason, .. } => reason,
        error => panic!("{error}"),
    };
    assert!(reason(&COLUMNS[1..]).starts_with("its columns are `job`, `exit`"));
    for (index, kind, nullable) in [(1, Kind::Time, false), (4, Kind::Integer, true), (3, Kind::Real, false), (0, Kind::Integer, false)] {
        let mut columns = COLUMNS;
        columns[index] = column(columns[index].name, kind, nullable);
        assert_eq!(reason(&columns), format!("its column `{}` is of another type", columns[index].name));
    }
    let mut renamed = COLUMNS;
    renamed[2].name = "final";
    assert!(reason(&renamed).contains("`is_final`"));
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exits.parquet");
    written(&path, [batch(0, 50)]);
    let content = fs::read(&path).unwrap();
    assert!(matches!(TableReader::open(&folder.path().join("none"), &COLUMNS).err().unwrap(), ReadTableError::Io { .. }));
    // The library prints where it panics; what counts is that nobody outside sees a panic.
    for length in (0..content.len()).step_by(37) {
        fs::write(&path, &content[..length]).unwrap();
        assert!(matches!(read(&path), Err(ReadTableError::Parquet { .. })), "{length} bytes");
    }
    let mut n_refused = 0;
    for place in (0..content.len()).step_by(13) {
        for bits in [0x55, 0xff, 0x01] {
            let mut changed = content.clone();
            changed[place] ^= bits;
            fs::write(&path, &changed).unwrap();
            n_refused += usize::from(read(&path).is_err());
        }
    }
    assert!(n_refused > 20, "{n_refused}");
}
