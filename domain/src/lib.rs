//! What Offramp means by its words, as data and pure functions.
//!
//! Nothing here reads a clock, a file, the environment or a random source. In reading order:
//!
//! - [`shape`], [`layer`]: tensors' shapes and the layers between them, with costs.
//! - [`dataset`]: the catalogue of datasets: names, shapes, classes.
//! - [`backbone`]: backbones as data; [`convention`]: the ways of counting operations that published numbers are in.
//! - [`exits`], [`pattern`], [`branch`]: where exits hang, how branch cost is shared out, and the branches that realise it.
//! - [`network`]: a backbone with its branches; the one description that costs and modules come from.
//! - [`job`]: a job's canonical configuration and its key; [`recipes`]: the recipes that ship.
//! - [`sweep`], [`problem`]: sweep files, and what can be wrong with them.
//! - [`lifecycle`]: the states of a job; [`placement`]: which workers can run it.
//! - [`outcome`], [`evaluation`]: results, and how they follow from per-sample records.
//! - [`exchange`]: what travels from one database to another.
//! - [`frontier`]: who dominates whom.
//! - [`table`]: the database's views as data; [`filter`]: which of their rows somebody wants.
//! - [`statistics`], [`compare`]: what one factor changes, and how sure that is.

pub mod backbone;
pub mod branch;
pub mod compare;
pub mod convention;
pub mod dataset;
pub mod evaluation;
pub mod exchange;
pub mod exits;
pub mod filter;
pub mod frontier;
pub mod job;
pub mod layer;
pub mod lifecycle;
pub mod network;
pub mod outcome;
pub mod pattern;
pub mod placement;
pub mod problem;
pub mod recipes;
pub mod shape;
pub mod spelling;
pub mod statistics;
pub mod sweep;
pub mod table;
