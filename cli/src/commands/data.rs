//! `offramp data ...`: datasets listed, fetched, verified. Works in every build.

use std::path::{Path, PathBuf};

use offramp_data::catalogue::{self, Place, Published};
use offramp_data::fetch::{Fetched, fetch};
use offramp_data::presence::{self, Presence};
use offramp_data::verify::{self, Verdict, verify};
use offramp_domain::dataset::{self, Dataset, DatasetError};
use serde::Serialize;

use crate::args::{DataCommand, FetchDataArguments, ListDataArguments, VerifyDataArguments};
use crate::commands::training::data_dir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, view};
use crate::progress::Download;
use crate::text::{bytes, escape_control, shell_word};

/// Does what is asked for. Everything here waits for disks and servers, so it has a thread of its own.
pub(crate) async fn run(command: &DataCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        DataCommand::List(arguments) => list(arguments, format),
        DataCommand::Fetch(arguments) => fetch_all(arguments, format).await,
        DataCommand::Verify(arguments) => verify_all(arguments, format).await,
    }
}

/// One line of `data list`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct DatasetRow {
    dataset: String,
    state: &'static str,
    detail: String,
    images: String,
    shape: String,
    classes: usize,
    download: String,
    download_bytes: Option<u64>,
    checksums: String,
    folder: String,
    licence: &'static str,
    citation: &'static str,
}

fn list(arguments: &ListDataArguments, format: Format) -> Result<Exit, Failure> {
    let data_dir = data_dir(arguments.folder.data_dir.as_ref())?;
    let mut rows: Vec<DatasetRow> = dataset::named().map(|facts| row(&facts, &data_dir)).collect();
    rows.extend(presence::image_folders(&data_dir).into_iter().map(|name| DatasetRow {
        dataset: dataset::folder_offer(&name),
        state: "present",
        detail: format!("named in sweeps with a shape and its classes, as in `{}-3x64x64-17`", dataset::folder_offer(&name)),
        images: "-".to_owned(),
        shape: "-".to_owned(),
        download: "-".to_owned(),
        folder: data_dir.join(name).display().to_string(),
        licence: "-",
        citation: "-",
        ..DatasetRow::default()
    }));
    output::write_rows(format, &Rows::new(&view::DATASETS, &rows))?;
    if format == Format::Table && rows.iter().any(|row| row.state == "absent") {
        output::say(&format!("`offramp data fetch DATASET` downloads absent ones into {}", escape_control(&data_dir.to_string_lossy())));
    }
    Ok(Exit::Ok)
}

fn row(facts: &Dataset, data_dir: &Path) -> DatasetRow {
    let published = catalogue::published(facts).expect("every dataset with a name of its own is published");
    let (state, detail) = match presence::look(facts, data_dir) {
        Presence::BuiltIn => ("built in", String::new()),
        Presence::Present => ("present", String::new()),
        Presence::Damaged { reason } => ("damaged", reason),
        Presence::Absent => ("absent", String::new()),
    };
    let checksums = published.files.iter().map(|file| format!("{}: {}", file.name, file.checksum)).collect::<Vec<_>>().join(", ");
    let [train, test] = published.n_images;
    DatasetRow {
        dataset: facts.name.clone(),
        state,
        detail,
        images: format!("{train} + {test}"),
        shape: facts.input.to_string(),
        classes: facts.n_classes,
        download: download_size(&published),
        download_bytes: Some(published.download_bytes()).filter(|(_, all_known)| *all_known).map(|(bytes, _)| bytes),
        checksums,
        folder: if facts.is_built_in() { "-".to_owned() } else { presence::folder_of(facts, data_dir).display().to_string() },
        licence: published.licence,
        citation: published.citation,
    }
}

/// What has to be downloaded: at least as much as is known.
fn download_size(published: &Published) -> String {
    match published.download_bytes() {
        _ if published.files.is_empty() => "-".to_owned(),
        (known, true) => bytes(known),
        (known, false) => format!("> {}", bytes(known)),
    }
}

/// One line of what `data fetch` did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct FetchedRow {
    dataset: String,
    file: &'static str,
    result: &'static str,
    path: String,
}

async fn fetch_all(arguments: &FetchDataArguments, format: Format) -> Result<Exit, Failure> {
    let data_dir = data_dir(arguments.folder.data_dir.as_ref())?;
    // All names are checked before anything is downloaded.
    let sets = arguments.datasets.iter().map(|name| fetchable(name)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    for (facts, published) in sets {
        output::say(&format!("{}: licence: {}; cite {}", facts.name, published.licence, published.citation));
        let (mirror, replace, folder) = (arguments.mirror.clone(), arguments.replace, data_dir.clone());
        let set = facts.clone();
        let fetched = blocking(move || {
            let is_whole = |_: &Path| verify::is_whole(&set, &folder, replace);
            let mut progress = Download::new(output::is_interactive());
            let fetched = fetch(&published, &folder, mirror, replace, &is_whole, &mut progress);
            progress.clear();
            fetched
        });
        let fetched = fetched.await?.map_err(|error| {
            let hint = error.hint();
            Failure::new(anyhow::Error::new(error).context(format!("cannot fetch `{}`", facts.name))).hint(hint)
        })?;
        rows.extend(published.files.iter().zip(fetched).map(|(file, fetched)| {
            FetchedRow {
                dataset: facts.name.clone(),
                file: file.name,
                result: match fetched {
                    Fetched::AlreadyThere => "already there",
                    Fetched::Installed => "fetched",
                },
                path: match file.place {
                    Place::Folder(folder) => data_dir.join(folder).join(file.name),
                    Place::Unpacked { root, .. } => data_dir.join(root),
                }
                .display()
                .to_string(),
            }
        }));
    }
    output::write_rows(format, &Rows::new(&view::FETCHED, &rows))?;
    Ok(Exit::Ok)
}

/// A dataset that can be downloaded.
fn fetchable(name: &str) -> Result<(Dataset, Published), Failure> {
    let facts = parse(name)?;
    match catalogue::published(&facts) {
        Some(published) if !published.files.is_empty() => Ok((facts, published)),
        Some(_) => Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("`{name}` is part of this program: there is nothing to fetch"))),
        None => Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("`{name}` is not published anywhere"))
            .hint("synthetic datasets need no files, and image folders are put into the data folder by hand")),
    }
}

fn parse(name: &str) -> Result<Dataset, Failure> {
    dataset::parse(name).map_err(|error: DatasetError| {
        let hint = error.hint();
        Failure::with_exit(Exit::Usage, error).hint(hint)
    })
}

/// One line of what `data verify` found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct VerifiedRow {
    dataset: String,
    checked: String,
    verdict: &'static str,
    detail: String,
}

async fn verify_all(arguments: &VerifyDataArguments, format: Format) -> Result<Exit, Failure> {
    let data_dir = data_dir(arguments.folder.data_dir.as_ref())?;
    let sets = match arguments.datasets.as_slice() {
        [] => dataset::named().filter(|facts| presence::look(facts, &data_dir) != Presence::Absent).collect(),
        names => names.iter().map(|name| parse(name)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut rows = Vec::new();
    let mut unfit = Vec::new();
    for facts in sets {
        let name = facts.name.clone();
        let found = verified(facts, data_dir.clone()).await?;
        if found.iter().any(|row| matches!(row.verdict, "damaged" | "absent")) {
            unfit.push(name);
        }
        rows.extend(found);
    }
    output::write_rows(format, &Rows::new(&view::VERIFIED, &rows))?;
    if unfit.is_empty() {
        return Ok(Exit::Ok);
    }
    let fetchable: Vec<&str> = unfit.iter().map(String::as_str).filter(|name| fetchable(name).is_ok()).collect();
    let hint = if fetchable.is_empty() {
        "put its files right by hand".to_owned()
    } else {
        format!("fetch with `offramp data fetch --replace {}{}`", fetchable.join(" "), escape_control(&folder_option(&data_dir)))
    };
    Err(Failure::new(anyhow::anyhow!("of no use here: {}", unfit.join(", "))).hint(hint))
}

async fn verified(facts: Dataset, data_dir: PathBuf) -> Result<Vec<VerifiedRow>, Failure> {
    let name = facts.name.clone();
    let row = |checked: String, verdict, detail| VerifiedRow { dataset: name.clone(), checked, verdict, detail };
    if presence::look(&facts, &data_dir) == Presence::Absent {
        let folder = presence::folder_of(&facts, &data_dir).display().to_string();
        return Ok(vec![row("files".to_owned(), "absent", format!("nothing of it is in {folder}"))]);
    }
    let findings = blocking(move || verify(&facts, &data_dir)).await?;
    Ok(findings.into_iter().map(|finding| row(finding.what, Verdict::as_str(finding.verdict), finding.detail)).collect())
}

/// What to do where a dataset is not in `data_dir`.
pub(crate) fn remedy(name: &str, data_dir: &Path) -> String {
    let shown = escape_control(name);
    let get = match dataset::parse(name) {
        Ok(facts) if fetchable(name).is_ok() => {
            format!("fetch `{shown}` with `offramp data fetch {}{}`", facts.name, escape_control(&folder_option(data_dir)))
        }
        Ok(facts) => {
            let folder = presence::folder_of(&facts, data_dir);
            format!("put the files of `{shown}` into {}", escape_control(&folder.to_string_lossy()))
        }
        Err(_) => format!("put the files of `{shown}` into {}", escape_control(&data_dir.to_string_lossy())),
    };
    format!("{get}, or name another folder with --data-dir")
}

/// The option that names a data folder, where it is not the usual one.
fn folder_option(folder: &Path) -> String {
    if data_dir(None).is_ok_and(|usual| usual == folder) {
        String::new()
    } else {
        format!(" --data-dir {}", shell_word(&folder.to_string_lossy()))
    }
}

/// Runs what waits for disks and servers beside the reactor.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(anyhow::Error::new(error).context("the work broke off")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::DataFolder;

    #[test]
    fn every_dataset_has_its_size_terms_and_state() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("svhn")).unwrap();
        std::fs::write(dir.path().join("svhn/train_32x32.mat"), "x").unwrap();
        let rows: Vec<DatasetRow> = dataset::named().map(|facts| row(&facts, dir.path())).collect();
        let shown: Vec<String> = rows
            .iter()
            .map(|row| [row.dataset.as_str(), row.state, row.images.as_str(), row.download.as_str(), row.detail.as_str()].join("|"))
            .collect();
        assert_eq!(
            shown,
            [
                "digits|built in|1438 + 359|-|",
                "cifar10|absent|50000 + 10000|170.1 MB|",
                "cifar100|absent|50000 + 10000|168.5 MB|",
                "svhn|damaged|73257 + 26032|246.3 MB|no `test_32x32.mat`",
                "svhn-extra|damaged|604388 + 26032|> 246.3 MB|no `extra_32x32.mat`",
                "mnist|absent|60000 + 10000|11.59 MB|",
                "fashion-mnist|absent|60000 + 10000|> 26.42 MB|",
                "tiny-imagenet|absent|100000 + 10000|248.1 MB|",
            ]
        );
        assert!(rows.iter().all(|row| !row.licence.is_empty() && !row.citation.is_empty()));
    }

    #[test]
    fn what_cannot_be_fetched_is_refused_before_anything_is() {
        let said = |name: &str| fetchable(name).unwrap_err();
        assert_eq!(said("cifar").exit(), Exit::Usage);
        assert!(said("cifar").render().contains("hint: did you mean `cifar10`?"), "{}", said("cifar").render());
        assert!(said("digits").render().contains("part of this program"));
        assert!(said("folder-birds-3x8x8-2").render().contains("by hand"));
    }

    #[tokio::test]
    async fn files_come_from_a_folder_and_damage_fails_with_the_remedy() {
        let (mirror, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let fetch = |name: &str| FetchDataArguments {
            datasets: vec![name.to_owned()],
            mirror: Some(mirror.path().to_str().unwrap().parse().unwrap()),
            replace: false,
            folder: DataFolder { data_dir: Some(dir.path().to_owned()) },
        };
        let failure = fetch_all(&fetch("mnist"), Format::Csv).await.unwrap_err().render();
        assert!(failure.starts_with("error: cannot fetch `mnist`: cannot read `"), "{failure}");
        assert!(failure.contains("hint: the mirror must be a folder that holds the file under its published name"), "{failure}");
        std::fs::write(mirror.path().join("train-images-idx3-ubyte.gz"), "x").unwrap();
        let failure = fetch_all(&fetch("mnist"), Format::Csv).await.unwrap_err().render();
        assert!(failure.contains("is something else: it has 1 bytes, and the published file 9912422"), "{failure}");

        let folder = || DataFolder { data_dir: Some(dir.path().to_owned()) };
        let verify = |names: &[&str]| VerifyDataArguments { datasets: names.iter().map(|&name| name.into()).collect(), folder: folder() };
        assert_eq!(verify_all(&verify(&[]), Format::Csv).await.unwrap(), Exit::Ok, "the digits are always there");
        let failure = verify_all(&verify(&["digits", "mnist"]), Format::Csv).await.unwrap_err();
        let expected = format!("hint: fetch with `offramp data fetch --replace mnist --data-dir {}`", dir.path().display());
        assert!(failure.render().contains(&expected), "{}", failure.render());
        assert_eq!(failure.exit(), Exit::Error);
    }
}
