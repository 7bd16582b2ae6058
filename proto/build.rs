//! Compiles `offramp/v1/*.proto` without `protoc`, and keeps the descriptors for the reflection service.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its output folder through the environment alone")]
fn out_dir() -> Result<PathBuf, std::env::VarError> {
    std::env::var("OUT_DIR").map(PathBuf::from)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=offramp");
    let descriptors = protox::compile(
        [
            "offramp/v1/sweep.proto",
            "offramp/v1/compare.proto",
            "offramp/v1/result.proto",
            "offramp/v1/worker.proto",
            "offramp/v1/fleet.proto",
            "offramp/v1/trainer.proto",
        ],
        ["."],
    )?;
    std::fs::write(out_dir()?.join("offramp_descriptor.bin"), descriptors.encode_to_vec())?;
    // Rows are printed as JSON with their field names, so the wire, the views and `--output json` share one vocabulary. From rows of the views they are
    // made by the same names.
    tonic_prost_build::configure()
        .type_attribute(".offramp.v1", "#[derive(serde::Serialize, serde::Deserialize)]")
        .message_attribute(".offramp.v1", "#[serde(default)]")
        .compile_fds(descriptors)?;
    Ok(())
}
