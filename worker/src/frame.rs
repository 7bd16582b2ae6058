//! Length-delimited messages on a byte stream: a varint, then as many bytes of protobuf.

use std::io::{self, Read, Write};

use bytes::BytesMut;
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message that is read. An outcome of a hundred exits and thousands of operating points stays far below.
pub(crate) const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of the longest length prefix that [`MAX_FRAME_BYTES`] allows; 7 bits each.
const MAX_PREFIX_BYTES: usize = 4;

/// What is asked of the stream at a time.
const CHUNK_BYTES: usize = 8 * 1024;

/// Why a stream of messages cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed.
    #[error("cannot read the stream")]
    Read(#[source] io::Error),
    /// The stream ended inside a message.
    #[error("the stream ended inside a message")]
    Truncated,
    /// A length prefix beyond what is allowed: nobody who speaks the protocol sends it.
    #[error("a message claims more than {MAX_FRAME_BYTES} bytes")]
    TooLong,
    /// The bytes are not the message that was expected.
    #[error("not a message of the protocol")]
    Decode(#[source] prost::DecodeError),
}

/// Reads messages off a stream, blocking or not.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    input: R,
    buffer: BytesMut,
}

impl<R> Frames<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: BytesMut::new() }
    }

    fn at_end<M>(&self) -> Result<Option<M>, FrameError> {
        if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Truncated) }
    }
}

impl<R: Read> Frames<R> {
    /// The next message; `None` where the stream ends between messages.
    pub(crate) fn read<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            if let Some(message) = take(&mut self.buffer)? {
                return Ok(Some(message));
            }
            match self.input.read(&mut chunk) {
                Ok(0) => return self.at_end(),
                Ok(n_bytes) => self.buffer.extend_from_slice(&chunk[..n_bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FrameError::Read(error)),
            }
        }
    }
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// The next message; `None` where the stream ends between messages. Loses nothing when cancelled.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        loop {
            if let Some(message) = take(&mut self.buffer)? {
                return Ok(Some(message));
            }
            self.buffer.reserve(CHUNK_BYTES);
            if self.input.read_buf(&mut self.buffer).await.map_err(FrameError::Read)? == 0 {
                return self.at_end();
            }
        }
    }
}

/// Writes one message and flushes.
pub(crate) fn write(output: &mut impl Write, message: &impl Message) -> io::Result<()> {
    output.write_all(&message.encode_length_delimited_to_vec())?;
    output.flush()
}

/// Takes a whole message off the front of `buffer`, if one is there.
fn take<M: Message + Default>(buffer: &mut BytesMut) -> Result<Option<M>, FrameError> {
    let Some((prefix_bytes, body_bytes)) = prefix(buffer)? else { return Ok(None) };
    if buffer.len() < prefix_bytes + body_bytes {
        return Ok(None);
    }
    let frame = buffer.split_to(prefix_bytes + body_bytes);
    M::decode(&frame[prefix_bytes..]).map(Some).map_err(FrameError::Decode)
}

/// Lengths of the prefix and of the message behind it, once the whole prefix is there.
fn prefix(buffer: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut body_bytes = 0;
    for (index, byte) in buffer.iter().take(MAX_PREFIX_BYTES).enumerate() {
        body_bytes |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return if body_bytes <= MAX_FRAME_BYTES { Ok(Some((index + 1, body_bytes))) } else { Err(FrameError::TooLong) };
        }
    }
    if buffer.len() < MAX_PREFIX_BYTES { Ok(None) } else { Err(FrameError::TooLong) }
}

#[cfg(test)]
mod tests;
