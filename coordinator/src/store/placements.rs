//! Which jobs a worker may be given: what they need, read from rows and written to them.

use offramp_domain::placement::{Capabilities, Datasets, DeviceKind, Requirements};

use super::engine::{Row, Value, args};
use super::{Transaction, sql};

/// Reads requirements from a row with their columns.
pub(super) fn requirements(row: &Row) -> Result<Requirements, sqlx::Error> {
    Ok(Requirements {
        device: DeviceKind::parse(&row.get::<String>("device")?),
        memory_mib: row.get("memory_mib")?,
        dataset: row.get("dataset")?,
        labels: names(row, "labels")?,
    })
}

/// Reads what a session offers from a row with its columns.
pub(super) fn capabilities(row: &Row) -> Result<Capabilities, sqlx::Error> {
    let datasets: String = row.get("datasets")?;
    Ok(Capabilities {
        device: DeviceKind::parse(&row.get::<String>("device")?),
        memory_mib: row.get::<Option<i64>>("memory_mib")?.map(i64::cast_unsigned),
        datasets: if datasets == ANY_DATASET { Datasets::Any } else { Datasets::Named(names(row, "datasets")?) },
        labels: names(row, "labels")?,
    })
}

/// How a session that needs no data is written.
const ANY_DATASET: &str = "\"*\"";

/// The four columns of what a session offers: device, memory, datasets, labels.
pub(super) fn offered(capabilities: &Capabilities) -> [Value; 4] {
    let datasets = match &capabilities.datasets {
        Datasets::Any => ANY_DATASET.to_owned(),
        Datasets::Named(names) => super::json(names),
    };
    args![
        capabilities.device.map_or("", DeviceKind::as_str),
        capabilities.memory_mib.map(|mib| i64::try_from(mib).unwrap_or(i64::MAX)),
        datasets,
        super::json(&capabilities.labels),
    ]
}

/// The id of the row that says what such jobs need, made where there is none.
pub(super) async fn id(tx: &mut Transaction, requirements: &Requirements) -> Result<i64, sqlx::Error> {
    let device = requirements.device.map_or("", DeviceKind::as_str);
    let memory_mib = i64::try_from(requirements.memory_mib).unwrap_or(i64::MAX);
    let labels = super::json(&requirements.labels);
    tx.run(sql::INSERT_PLACEMENT, args![device, memory_mib, &requirements.dataset, &labels, requirements.label()]).await?;
    tx.one(sql::PLACEMENT, args![device, memory_mib, &requirements.dataset, &labels]).await?.get("id")
}

fn names(row: &Row, column: &str) -> Result<Vec<String>, sqlx::Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}
