//! The wire: messages and stubs of `offramp.v1`, and thin conversions to and from the domain's types.
//!
//! - [`v1`]: what `offramp/v1/*.proto` generates.
//! - [`convert`]: domain to message and back; decoding names the field that is wrong.
//! - [`rows`]: rows of any view, by column.
//! - [`DESCRIPTORS`]: the compiled descriptors, for the reflection service.
//! - [`PROTOCOL`]: what clients say they speak, so that peers of other versions part with a clear message.

pub mod convert;
pub mod rows;

/// Generated messages, clients and servers.
#[expect(missing_docs, unused_qualifications, clippy::pedantic, clippy::allow_attributes, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("offramp.v1");
}

/// The encoded `FileDescriptorSet` of `offramp/v1/*.proto`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/offramp_descriptor.bin"));

/// The number of the protocol that this build speaks. It changes where an older peer could misunderstand a newer one.
pub const PROTOCOL: u32 = 1;

/// The metadata header that carries [`PROTOCOL`] with every call.
pub const PROTOCOL_HEADER: &str = "offramp-protocol";
