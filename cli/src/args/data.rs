//! Arguments of `offramp data ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use offramp_data::download::Mirror;

/// What to do with datasets.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// List datasets: which are here, how large they are, under which terms they may be used
    List(ListDataArguments),
    /// Download published datasets, check them and put them in their places
    Fetch(FetchDataArguments),
    /// Check datasets that are here: checksums, every record, statistics beside the published ones
    Verify(VerifyDataArguments),
}

/// Where datasets are.
#[derive(Debug, Args)]
pub(crate) struct DataFolder {
    /// Folder with datasets [default: data in the user's data folder]
    #[arg(long, value_name = "DIR", env = "OFFRAMP_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Arguments of `offramp data list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp data list
  offramp data list --data-dir /srv/datasets --output json     (with what to cite, and checksums)")]
pub(crate) struct ListDataArguments {
    /// Where to look.
    #[command(flatten)]
    pub(crate) folder: DataFolder,
}

/// Arguments of `offramp data fetch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp data fetch cifar10 fashion-mnist
  offramp data fetch tiny-imagenet --data-dir /srv/datasets
  offramp data fetch cifar100 --mirror https://mirror.example/datasets
  offramp data fetch cifar100 --mirror /media/usb     (files under their published names)

The same command goes on with a download that broke off. Nothing is put in place before its
checksum is the published one, wherever it came from; MD5 where its publishers give no better one.
The terms of each dataset are those of `offramp data list`: fetching it says that you accept them.")]
pub(crate) struct FetchDataArguments {
    /// The datasets, as `offramp data list` names them
    #[arg(value_name = "DATASET", required = true)]
    pub(crate) datasets: Vec<String>,
    /// Download from this folder in place of the publishers: an http://, https:// or file:// URL, or a path
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<Mirror>,
    /// Replace what is in the way and is not as published, once its successor is complete
    #[arg(long)]
    pub(crate) replace: bool,
    /// Where to put them.
    #[command(flatten)]
    pub(crate) folder: DataFolder,
}

/// Arguments of `offramp data verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp data verify
  offramp data verify cifar10 svhn --data-dir /srv/datasets
  offramp data verify folder-birds-3x64x64-17     (an image folder, as a sweep would read it)

Exits with 1 where something is damaged or absent. `differs` is not as published, and can be trained
on: a subset, a copy with other pixels, files that another program unpacked.")]
pub(crate) struct VerifyDataArguments {
    /// The datasets [default: all published ones that are here]
    #[arg(value_name = "DATASET")]
    pub(crate) datasets: Vec<String>,
    /// Where they are.
    #[command(flatten)]
    pub(crate) folder: DataFolder,
}
