//! Datasets that turned out to be of no use on a worker.

use offramp_domain::dataset;
use offramp_domain::placement::Datasets;

use super::engine::{Transaction, args};
use super::sql;
use super::{SessionId, json, placements};

/// A dataset that a session offers no longer, by the name that it was offered under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Withdrawn {
    pub(super) session: SessionId,
    pub(super) offer: String,
}

/// Takes the dataset of a job that found no good files out of what its worker's session offers, where another open session offers it: jobs
/// are not to be given to the one when the other can have them. `None` where there is no other, and nothing was changed: then the next job
/// fails as this one does, and is told why, in place of waiting for nobody.
pub(super) async fn withdraw(tx: &mut Transaction, session: SessionId, dataset: &str) -> Result<Option<Withdrawn>, sqlx::Error> {
    let Some(offer) = dataset::needed_offer(dataset) else { return Ok(None) };
    let (mut own, mut is_elsewhere) = (None, false);
    for row in tx.all(sql::OFFERS_OF_SESSIONS, args![]).await? {
        let datasets = placements::capabilities(&row)?.datasets;
        if row.get::<i64>("id")? == session.id {
            own = Some(datasets);
        } else {
            is_elsewhere |= match datasets {
                Datasets::Any => true,
                Datasets::Named(names) => names.contains(&offer),
            };
        }
    }
    if !is_elsewhere {
        return Ok(None);
    }
    if let Some(Datasets::Named(mut names)) = own {
        names.retain(|name| *name != offer);
        tx.run(sql::SET_DATASETS, args![session.id, json(&names)]).await?;
    }
    Ok(Some(Withdrawn { session, offer }))
}
