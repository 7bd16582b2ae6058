//! Trains one job, read as JSON from standard input, on the CPU: `train_job [DATA_DIR] < job.json`.

use std::io::Read;
use std::path::PathBuf;

use offramp_data::Cache;
use offramp_domain::evaluation::Records;
use offramp_domain::job::JobConfig;
use offramp_domain::outcome::Progress;
use offramp_train::{DeviceChoice, Environment, Observer, run};

struct Print;

impl Observer for Print {
    #[expect(clippy::print_stderr, reason = "progress of a program")]
    fn progress(&mut self, progress: Progress) {
        let Progress { epoch, n_epochs, loss, exit_accuracy, images_per_second } = progress;
        eprintln!("epoch {epoch}/{n_epochs}: loss {loss:.4}, calibration accuracy {exit_accuracy:.3?}, {images_per_second:.0} images/s");
    }

    fn records(&mut self, _: &Records) {}

    fn stopped(&self) -> bool {
        false
    }
}

#[expect(clippy::print_stdout, reason = "the result of a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut json = String::new();
    std::io::stdin().read_to_string(&mut json)?;
    let config = JobConfig::from_json(&json)?;
    let data_dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "data".to_owned()));
    let outcome = run(&config, &Environment { data_dir, device: DeviceChoice::Cpu, checkpoints: None }, &mut Cache::default(), &mut Print)?;
    println!("{outcome:#?}");
    Ok(())
}
