use super::*;
use offramp_proto::v1::{self, from_trainer, to_trainer};

fn run(config_json: &str) -> v1::ToTrainer {
    let run = v1::Run { job_key: "0123456789abcdef0123456789abcdef".into(), attempt: 7, config_json: config_json.into() };
    v1::ToTrainer { message: Some(to_trainer::Message::Run(run)) }
}

/// Gives its bytes one by one, as a slow pipe may.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.0.len().min(1).min(buffer.len());
        buffer[..n_bytes].copy_from_slice(&self.0[..n_bytes]);
        self.0 = &self.0[n_bytes..];
        Ok(n_bytes)
    }
}

#[test]
fn the_wire_format_is_a_varint_and_protobuf() {
    let mut bytes = Vec::new();
    write(&mut bytes, &v1::FromTrainer { message: Some(from_trainer::Message::Ready(v1::Ready { trainer: "sim".into() })) }).unwrap();
    // By hand: 7 bytes; field 1 (Ready), length 5; field 1 (trainer), length 3, the text.
    assert_eq!(bytes, [7, 0x0a, 5, 0x0a, 3, b's', b'i', b'm']);
    bytes.clear();
    write(&mut bytes, &v1::ToTrainer { message: Some(to_trainer::Message::Stop(v1::Stop {})) }).unwrap();
    assert_eq!(bytes, [2, 0x12, 0]);
}

#[test]
fn messages_survive_however_they_arrive() {
    let sent = [run(""), run("{}"), run(&"x".repeat(300)), run(&"y".repeat(100_000))];
    let mut bytes = Vec::new();
    for message in &sent {
        write(&mut bytes, message).unwrap();
    }
    let received = |mut frames: Frames<Box<dyn Read>>| {
        let messages: Vec<v1::ToTrainer> = std::iter::from_fn(|| frames.read().unwrap()).collect();
        messages
    };
    assert_eq!(received(Frames::new(Box::new(io::Cursor::new(bytes.clone())))), sent);
    assert_eq!(received(Frames::new(Box::new(Trickle(bytes.leak())))), sent);
}

#[tokio::test]
async fn a_cancelled_read_loses_nothing() {
    let mut bytes = Vec::new();
    write(&mut bytes, &run("first")).unwrap();
    write(&mut bytes, &run("second")).unwrap();
    let (mut writer, reader) = tokio::io::duplex(1024);
    let mut frames = Frames::new(reader);
    for byte in bytes {
        // What has arrived is taken in, then the read is given up.
        tokio::io::AsyncWriteExt::write_all(&mut writer, &[byte]).await.unwrap();
        let mut next = std::pin::pin!(frames.next::<v1::ToTrainer>());
        if let std::task::Poll::Ready(message) = futures::poll!(next.as_mut()) {
            assert!([Some(run("first")), Some(run("second"))].contains(&message.unwrap()));
        }
    }
    drop(writer);
    assert!(frames.next::<v1::ToTrainer>().await.unwrap().is_none(), "both messages have been taken");
}

#[test]
fn a_stream_may_only_end_between_messages() {
    let mut bytes = Vec::new();
    write(&mut bytes, &run("{}")).unwrap();
    for end in 1..bytes.len() {
        let error = Frames::new(&bytes[..end]).read::<v1::ToTrainer>().unwrap_err();
        assert!(matches!(error, FrameError::Truncated), "cut at {end}: {error}");
    }
    assert!(Frames::new(&bytes[..0]).read::<v1::ToTrainer>().unwrap().is_none());
}

#[test]
fn lengths_are_bounded() {
    let refused = |bytes: &[u8]| matches!(Frames::new(bytes).read::<v1::ToTrainer>(), Err(FrameError::TooLong));
    // 2^24 = 16 MiB is 80 80 80 08 as a varint; one more is refused before anything of that size is read.
    assert!(!refused(&[0x80, 0x80, 0x80, 0x08]));
    assert!(refused(&[0x81, 0x80, 0x80, 0x08]));
    // A prefix that goes on for ever, as text does that is no protocol at all.
    assert!(refused(&[0xff, 0xff, 0xff, 0xff]));
    assert!(refused(&[0x80, 0x80, 0x80, 0x80]));
}

#[test]
fn garbage_is_an_error() {
    // 'h' announces 104 bytes; the text behind it is no protobuf.
    let text = "hello, this is something that a library printed to standard output instead of the protocol, which is more than that.";
    let error = Frames::new(text.as_bytes()).read::<v1::FromTrainer>().unwrap_err();
    assert!(matches!(error, FrameError::Decode(_)), "{error}");
}
