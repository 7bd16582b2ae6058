//! Rows of a view as they come, to standard output or to a file that appears when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use offramp_domain::table::{Array, Batch, Column, Kind, ValueRef};
use offramp_records::table::{TableWriter, WriteTableError};

use crate::args::ExportFormat;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::csv::defused;

/// A file under a name that it does not keep: `NAME.tmp`, until it is whole. Given up, it is gone.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    /// Where to write what is to be at `path`.
    ///
    /// # Errors
    /// When there is something already and `replace` doesn't say that it may go.
    pub(crate) fn new(path: &Path, replace: bool) -> Result<Self, Failure> {
        if !replace && path.exists() {
            let error = anyhow::anyhow!("`{}` is there already", path.display());
            return Err(Failure::with_exit(Exit::Usage, error).hint("name another file, or say --force to replace it"));
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".tmp");
        Ok(Self { path: path.to_owned(), draft: draft.into() })
    }

    /// The name that it has meanwhile.
    pub(crate) fn draft(&self) -> &Path {
        &self.draft
    }

    fn create(&self) -> Result<File, Failure> {
        File::create(&self.draft).map_err(|error| self.failure(error))
    }

    /// Brings the file to the disk and gives it its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        let synced = File::open(&self.draft).and_then(|file| file.sync_all());
        synced.and_then(|()| fs::rename(&self.draft, &self.path)).map_err(|error| self.failure(error))
    }

    fn failure(&self, error: io::Error) -> Failure {
        Failure::new(anyhow::Error::new(error).context(format!("cannot write `{}`", self.path.display())))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it has its name it is not there any more.
        let _ = fs::remove_file(&self.draft);
    }
}

/// Takes rows of some columns.
pub(crate) struct Sink {
    columns: Vec<Column>,
    form: Form,
    /// The file; nothing for standard output.
    draft: Option<Draft>,
    n_rows: u64,
}

enum Form {
    Parquet(Box<TableWriter<BufWriter<File>>>),
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Jsonl(Box<dyn Write>),
}

impl Sink {
    /// To standard output. Parquet is for files: its end says where everything is.
    pub(crate) fn to_stdout(columns: Vec<Column>, format: ExportFormat) -> Result<Self, Failure> {
        let stdout: Box<dyn Write> = Box::new(BufWriter::new(io::stdout()));
        match format {
            ExportFormat::Parquet => Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("Parquet is written to a file"))
                .hint("name it with --to FILE, or take --format csv or jsonl")),
            format => Self::of_text(columns, format, stdout, None),
        }
    }

    /// To a file; `metadata` joins what a Parquet file says of itself.
    pub(crate) fn to_file(
        draft: Draft,
        view: &str,
        columns: Vec<Column>,
        format: ExportFormat,
        metadata: &[(&str, String)],
    ) -> Result<Self, Failure> {
        let file = BufWriter::new(draft.create()?);
        match format {
            ExportFormat::Parquet => {
                let writer = TableWriter::new(file, view, &columns, metadata).map_err(|error| table_failure(&draft, error))?;
                Ok(Self { columns, form: Form::Parquet(Box::new(writer)), draft: Some(draft), n_rows: 0 })
            }
            format => Self::of_text(columns, format, Box::new(file), Some(draft)),
        }
    }

    fn of_text(columns: Vec<Column>, format: ExportFormat, to: Box<dyn Write>, draft: Option<Draft>) -> Result<Self, Failure> {
        let form = if format == ExportFormat::Csv {
            let mut writer = csv::Writer::from_writer(to);
            writer
                .write_record(columns.iter().map(|column| column.name))
                .map_err(|error| write_failure(draft.as_ref(), io_error(error)))?;
            Form::Csv(Box::new(writer))
        } else {
            Form::Jsonl(to)
        };
        Ok(Self { columns, form, draft, n_rows: 0 })
    }

    /// Takes rows.
    ///
    /// # Errors
    /// When they cannot be written; [`Failure::ClosedPipe`] when the reader has gone.
    pub(crate) fn write(&mut self, batch: Batch) -> Result<(), Failure> {
        self.n_rows += batch.n_rows as u64;
        match &mut self.form {
            Form::Parquet(writer) => {
                writer.write(batch).map_err(|error| table_failure(self.draft.as_ref().expect("Parquet has a file"), error))
            }
            Form::Csv(writer) => {
                for row in 0..batch.n_rows {
                    let cells = self.columns.iter().zip(&batch.columns).map(|(_, array)| cell(array, row));
                    writer.write_record(cells).map_err(|error| write_failure(self.draft.as_ref(), io_error(error)))?;
                }
                Ok(())
            }
            Form::Jsonl(to) => {
                let mut text = String::new();
                for row in 0..batch.n_rows {
                    object(&mut text, &self.columns, &batch.columns, row);
                }
                to.write_all(text.as_bytes()).map_err(|error| write_failure(self.draft.as_ref(), error))
            }
        }
    }

    /// Writes what is left, and gives a file its name.
    ///
    /// # Errors
    /// As with [`Self::write`].
    pub(crate) fn finish(self) -> Result<u64, Failure> {
        let Self { form, draft, n_rows, .. } = self;
        match form {
            Form::Parquet(writer) => {
                let draft = draft.as_ref().expect("Parquet has a file");
                let mut file = writer.finish().map_err(|error| table_failure(draft, error))?;
                file.flush().map_err(|error| write_failure(Some(draft), error))?;
            }
            Form::Csv(mut writer) => writer.flush().map_err(|error| write_failure(draft.as_ref(), error))?,
            Form::Jsonl(mut to) => to.flush().map_err(|error| write_failure(draft.as_ref(), error))?,
        }
        draft.map_or(Ok(()), Draft::keep)?;
        Ok(n_rows)
    }
}

fn table_failure(draft: &Draft, error: WriteTableError) -> Failure {
    Failure::new(anyhow::Error::new(error).context(format!("cannot write `{}`", draft.path.display())))
}

/// What was wrong with the file or the pipe: `csv` wraps it, and forgets its kind where it is asked to take that back itself.
fn io_error(error: csv::Error) -> io::Error {
    if !error.is_io_error() {
        return io::Error::other(error);
    }
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        _ => io::ErrorKind::Other.into(),
    }
}

fn write_failure(draft: Option<&Draft>, error: io::Error) -> Failure {
    match draft {
        Some(draft) => draft.failure(error),
        None if error.kind() == io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
        None => Failure::new(anyhow::Error::new(error).context("cannot write to stdout")),
    }
}

/// A value as `--output csv` writes it.
fn cell(array: &Array, row: usize) -> String {
    match array.get(row) {
        ValueRef::Null => String::new(),
        ValueRef::Text(text) => defused(text),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => number(value),
        ValueRef::Flag(value) => value.to_string(),
    }
}

/// Appends a row as a line of JSON.
fn object(text: &mut String, columns: &[Column], arrays: &[Array], row: usize) {
    text.push('{');
    for (index, (column, array)) in columns.iter().zip(arrays).enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&quoted(column.name));
        text.push(':');
        match array.get(row) {
            ValueRef::Null => text.push_str("null"),
            // A text that is said to be JSON, and is not, is a text.
            ValueRef::Text(value) if column.kind == Kind::Json && is_json(value) => text.push_str(value),
            ValueRef::Text(value) => text.push_str(&quoted(value)),
            ValueRef::Integer(value) => text.push_str(&value.to_string()),
            ValueRef::Real(value) => text.push_str(&number(value)),
            ValueRef::Flag(value) => text.push_str(&value.to_string()),
        }
    }
    text.push_str("}\n");
}

/// A number as JSON has it, to the last bit.
fn number(value: f64) -> String {
    serde_json::Number::from_f64(value).map_or_else(|| "null".to_owned(), |number| number.to_string())
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// Whether a text is one JSON value on one line.
fn is_json(text: &str) -> bool {
    !text.contains(['\n', '\r']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const COLUMNS: [Column; 5] = [
        Column { name: "job", kind: Kind::Text, nullable: false },
        Column { name: "n", kind: Kind::Integer, nullable: true },
        Column { name: "accuracy", kind: Kind::Real, nullable: true },
        Column { name: "is_final", kind: Kind::Flag, nullable: false },
        Column { name: "shares", kind: Kind::Json, nullable: true },
    ];

    fn batch() -> Batch {
        let text = |text: &str| Some(text.to_owned());
        Batch {
            columns: vec![
                Array::Texts(vec![text("=1+1"), text("a,\"b\"\nc"), text("-2.5")]),
                Array::Integers(vec![Some(i64::MAX), None, Some(-1)]),
                Array::Reals(vec![Some(0.1 + 0.2), None, Some(1e-7)]),
                Array::Flags(vec![Some(true), Some(false), Some(true)]),
                Array::Texts(vec![text("[0.5,0.5]"), None, text("[oops\n")]),
            ],
            n_rows: 3,
        }
    }

    fn written(format: ExportFormat) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut sink = Sink::to_file(Draft::new(&path, false).unwrap(), "v_exits", COLUMNS.to_vec(), format, &[]).unwrap();
        sink.write(batch()).unwrap();
        assert!(!path.exists() && folder.path().join("rows.tmp").exists(), "it is there when it is whole");
        assert_eq!(sink.finish().unwrap(), 3);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn csv_is_harmless_and_exact() {
        expect![[r#"
            job,n,accuracy,is_final,shares
            '=1+1,9223372036854775807,0.30000000000000004,true,"[0.5,0.5]"
            "a,""b""
            c",,,false,
            -2.5,-1,1e-7,true,"[oops
            "
        "#]]
        .assert_eq(&written(ExportFormat::Csv));
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error_of_any_format() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for format in [ExportFormat::Csv, ExportFormat::Jsonl] {
            let mut sink = Sink::of_text(COLUMNS.to_vec(), format, Box::new(Closed), None).unwrap();
            // `csv` has a buffer of its own, which these rows fill.
            let end = (0..1_000).try_for_each(|_| sink.write(batch()));
            assert!(matches!(end, Err(Failure::ClosedPipe)), "{format:?}: {end:?}");
        }
    }

    #[test]
    fn every_line_of_jsonl_is_an_object_in_the_order_of_the_columns() {
        let text = written(ExportFormat::Jsonl);
        expect![[r#"
            {"job":"=1+1","n":9223372036854775807,"accuracy":0.30000000000000004,"is_final":true,"shares":[0.5,0.5]}
            {"job":"a,\"b\"\nc","n":null,"accuracy":null,"is_final":false,"shares":null}
            {"job":"-2.5","n":-1,"accuracy":1e-7,"is_final":true,"shares":"[oops\n"}
        "#]]
        .assert_eq(&text);
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }

    #[test]
    fn what_is_there_is_replaced_on_request_alone_and_what_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(&path, "mine").unwrap();
        let refused = Draft::new(&path, false).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert!(refused.render().contains("--force"), "{}", refused.render());
        let sink = Sink::to_file(Draft::new(&path, true).unwrap(), "v_exits", COLUMNS.to_vec(), ExportFormat::Csv, &[]).unwrap();
        drop(sink);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Sink::to_stdout(COLUMNS.to_vec(), ExportFormat::Parquet).is_err());
    }
}
