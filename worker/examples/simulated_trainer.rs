//! A simulated trainer process on its own: the smallest program that a worker can start. The first argument holds simulation options, e.g.
//! `epoch-ms=20,crash=0.1`. The integration tests start it as well.

use std::error::Error;

use offramp_worker::simulated::Simulated;
use offramp_worker::trainer;

fn main() -> Result<(), Box<dyn Error>> {
    let options = std::env::args().nth(1).unwrap_or_default().parse()?;
    Ok(trainer::serve(&mut Simulated::new(options), None)?)
}
