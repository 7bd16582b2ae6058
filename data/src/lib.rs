//! Datasets: their files, fetched and checked, and their images in memory.
//!
//! In reading order:
//!
//! - [`images`]: images in memory, and the cache that keeps them from one job to the next; [`error`]: what can be wrong with files.
//! - [`mod@load`]: one reader a layout: [`digits`] and [`synthetic`] need no files; [`cifar`], [`svhn`] (with [`matlab`]), [`idx`],
//!   [`tiny_imagenet`] and [`folder`] (with [`picture`]) do. [`stream`] is how the binary ones read.
//! - [`catalogue`]: the published files: sizes, checksums, licences, where they come from. [`presence`]: which of them are here.
//! - [`fetch`]: download with resumption ([`download`], [`checksum`]), unpack within limits ([`unpack`]), put in place whole.
//! - [`statistics`]: mean and deviation of a split, to hold against published ones; [`verify`]: whether what is here is good.
//!
//! # Memory
//! A dataset is held in memory as a whole, one byte a pixel. Mapping files instead takes `unsafe`, which this workspace forbids: a file that
//! another process shortens would end this one. Most layouts could not be mapped anyway: they are compressed, column-major or many files.
//! The largest published one here, SVHN with its additional images, takes 1.9 GB.
//!
//! # Hostile files
//! No file makes a reader panic or take memory beyond what the file's content, unpacked within stated limits, fills. Nothing is unpickled.

pub mod catalogue;
pub mod checksum;
pub mod cifar;
pub mod digits;
pub mod download;
pub mod error;
pub mod fetch;
pub mod folder;
pub mod idx;
pub mod images;
pub mod load;
pub mod matlab;
pub mod picture;
pub mod presence;
pub mod statistics;
pub mod stream;
pub mod svhn;
pub mod synthetic;
pub mod tiny_imagenet;
pub mod unpack;
pub mod verify;

pub use error::DataError;
pub use images::{Cache, Images, LoadedDataset};
pub use load::load;
