//! Trains and evaluates multi-exit networks with Burn. The only crate that names it.
//!
//! What a network is, what its exits cost and how results follow from what the exits say is the domain's; this crate turns a job's
//! configuration into an outcome. In reading order:
//!
//! - [`mod@run`]: a job from its configuration to its outcome; [`fields`]: what it refuses.
//! - [`split`]: the calibration split; [`batches`]: epoch order, augmentation, normalisation; [`material`]: all of that for one job.
//! - [`network`]: Burn modules from the domain's description, and their initial weights.
//! - [`kernels`]: convolutions and batch norms on the CPU, several times as fast as Burn's.
//! - [`training`]: phases, epochs, steps, progress, stopping; [`regime`]: which parts learn when; [`learner`]: what changes from step to step.
//! - [`objective`]: the loss; [`teacher`]: what exits learn from besides the labels.
//! - [`schedule`]: the learning rate of a step; [`optimizer`]: the optimiser of a recipe; [`clip`]: cutting gradients down; [`average`]: the
//!   moving average of weights; [`precision`]: 16-bit numbers.
//! - [`checkpoint`]: where a run stands, on disk, so that the next attempt goes on from there.
//! - [`records`]: what the exits say of a split, read back from the device.
//! - [`early_exit`]: leaving for real, and how long answers take.
//! - [`device`]: choosing a device, opening it safely, and the self-check behind `doctor`.
//! - [`chance`]: random streams, each a pure function of seed, purpose and epoch.
//!
//! # Determinism
//! On the CPU a run's result is a pure function of its configuration and the dataset: bit-identical over repetitions, thread counts, and kills
//! that it was resumed after. Nothing reads Burn's process-global random seed.
//!
//! # Processes
//! Burn keeps some things once a process (thread pool, device state), so a training belongs in a process of its own. Parts of Burn fall back
//! on a default device that is a GPU whenever the build has one; a process that trains on the CPU is therefore to be started with the
//! environment of [`device::DeviceChoice::process_environment`].

pub mod average;
pub mod batches;
pub mod chance;
pub mod checkpoint;
pub mod clip;
pub mod device;
pub mod early_exit;
pub mod fields;
pub mod kernels;
pub mod learner;
pub mod material;
pub mod network;
pub mod objective;
pub mod optimizer;
pub mod precision;
pub mod records;
pub mod regime;
pub mod run;
pub mod schedule;
pub mod split;
pub mod teacher;
pub mod training;

pub use checkpoint::Checkpoints;
pub use device::{DeviceChoice, DeviceReport, devices};
pub use run::{Environment, Observer, TrainError, run, trainer_name};
