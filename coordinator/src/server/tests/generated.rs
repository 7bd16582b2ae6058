//! Generated requests at every RPC of every service, found in the descriptors: whatever comes is answered with a status that says what is wrong
//! with it, no task panics, and the coordinator still serves.
//!
//! The messages are made of what the fields' types allow, of values that exist (sessions, jobs, sweeps), of values at and past every bound, and of
//! bytes that are no message. They are a function of a seed, which a failure names.

use std::sync::Mutex;

use bytes::{Buf, BufMut};
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_types::StatusExt;

use super::*;
use crate::store::tests::sweep_text;

served_on_both_engines! {
    whatever_comes_is_answered_with_a_typed_status,
}

/// Requests at each RPC.
const REQUESTS: u64 = 150;
/// The codes that say what is wrong with a request.
const TYPED: [Code; 7] = [
    Code::Ok,
    Code::InvalidArgument,
    Code::NotFound,
    Code::FailedPrecondition,
    Code::ResourceExhausted,
    Code::OutOfRange,
    Code::Unimplemented,
];

async fn whatever_comes_is_answered_with_a_typed_status(home: TestDatabase) {
    let panics = Panics::watch();
    let served = served(home).await;
    let wire = Wire::read();
    let mut counts = std::collections::BTreeMap::new();
    for (index, rpc) in wire.rpcs.iter().enumerate() {
        let known = Known::make(&served, index).await;
        for seed in 0..REQUESTS {
            let mut generator = Generator { chance: Chance::of(&rpc.path, seed), wire: &wire, known: &known, is_kind: seed % 3 > 0 };
            let request = generator.request(&rpc.input);
            let status = call(&served.channel, &rpc.path, request.clone()).await;
            assert!(TYPED.contains(&status.code()), "{} seed {seed}: {status:?}\n{request:02x?}", rpc.path);
            if status.code() == Code::InvalidArgument {
                assert!(names_what_is_wrong(&status), "{} seed {seed}: {status:?}", rpc.path);
            }
            assert!(!status.message().contains(|c: char| c.is_control() && c != '\n'), "{} seed {seed}: {status:?}", rpc.path);
            *counts.entry((rpc.path.clone(), status.code().description())).or_insert(0) += 1;
            assert_eq!(panics.seen(), Vec::<String>::new(), "{} seed {seed}", rpc.path);
        }
    }
    assert_eq!(wire.rpcs.len(), 33, "every RPC that there is");
    for rpc in &wire.rpcs {
        let n = |is_ok: bool| -> u64 {
            let of_rpc = counts.iter().filter(|((path, code), _)| *path == rpc.path && (*code == Code::Ok.description()) == is_ok);
            of_rpc.map(|(_, n)| *n).sum()
        };
        // Neither are all refused at the door, nor is everything taken.
        // The job that requests know of is being worked on, though, and neither it nor its sweep is deleted then.
        let least = if rpc.path.contains("/Delete") { 0 } else { 3 };
        assert!(n(true) >= least && n(false) >= 3, "{}: {counts:#?}", rpc.path);
    }
    still_serves(&served).await;
    served.end().await;
    assert_eq!(panics.seen(), Vec::<String>::new());
}

/// A field, a place in the sweep file, or that the message is none.
fn names_what_is_wrong(status: &Status) -> bool {
    let field = status.get_error_details().bad_request().is_some_and(|request| {
        request.field_violations.iter().all(|violation| !violation.field.is_empty() && !violation.description.is_empty())
    });
    field
        || status.message().starts_with("the request cannot be decoded: ")
        || status.message().contains("--> ")
        || status.message().starts_with("several jobs' ids begin with")
}

/// What exists, for requests to speak of.
struct Known {
    session: String,
    /// All of it, whichever field it belongs into.
    texts: Vec<String>,
    leased: String,
    sweep: String,
}

impl Known {
    /// A sweep of four jobs, of which two are leased, and two sessions.
    async fn make(served: &Served, index: usize) -> Self {
        let sweep = format!("known-{index}");
        let text = sweep_text(&sweep, r#"["none", "constant"]"#, "[0, 1]");
        let id = served.submit(&format!("reuse = false\n{text}")).await.sweep.unwrap().sweep;
        let (session, other) = (served.open_session_of("w").await, served.open_session_of("other").await);
        let claim = v1::ClaimRequest { session: session.clone(), max_jobs: 2, wait_ms: LONG_WAIT_MS, sweep: id };
        let leases = served.workers().claim(claim).await.unwrap().into_inner().leases;
        let leased = leases[0].job_key.clone();
        let names = ["last", "w", "simulated", "max-softmax", "digits", "cuda", "leased"].map(str::to_owned);
        let mut texts = vec![other, session.clone(), leased.clone(), leases[1].job_key[..12].to_owned(), sweep.clone(), text];
        texts.extend(names);
        Self { session, texts, leased, sweep }
    }
}

/// A worker comes, and a new sweep's job is claimed and completed.
async fn still_serves(served: &Served) {
    let sweep = served.submit(&sweep_text("afterwards", r#"["none"]"#, "[77]")).await.sweep.unwrap();
    let session = served.open_session_of("afterwards").await;
    let claim = v1::ClaimRequest { session: session.clone(), max_jobs: 1, wait_ms: LONG_WAIT_MS, sweep: sweep.sweep };
    let lease = served.workers().claim(claim).await.unwrap().into_inner().leases.remove(0);
    assert_eq!(served.complete(&session, &lease, 0.9).await, v1::ReportAnswer::Accepted);
}

/// Panics in the coordinator's own code, in whatever task. A process has one hook: other tests' failed assertions are not counted.
struct Panics(Arc<Mutex<Vec<String>>>);

impl Panics {
    fn watch() -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (noted, before) = (Arc::clone(&seen), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map_or("", |location| location.file());
            if !place.contains("tests") {
                noted.lock().unwrap().push(panic.to_string());
            }
            before(panic);
        }));
        Self(seen)
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// The status that a request is answered with, whether the answer is one message or many.
async fn call(channel: &Channel, path: &str, request: Vec<u8>) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = path.parse().unwrap();
    let answered = async {
        match grpc.server_streaming(tonic::Request::new(request), path, Bytes).await {
            // The first message is enough: a watched sweep may go on for ever.
            Ok(stream) => stream.into_inner().message().await.map_or_else(|status| status, |_| Status::ok("")),
            Err(status) => status,
        }
    };
    timeout(DEADLINE, answered).await.unwrap_or_else(|_| panic!("no answer"))
}

/// Messages as they are.
#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(bytes.to_vec()))
    }
}

/// What the descriptors say.
struct Wire {
    messages: std::collections::HashMap<String, DescriptorProto>,
    rpcs: Vec<Rpc>,
}

struct Rpc {
    path: String,
    input: String,
}

impl Wire {
    fn read() -> Self {
        let files = FileDescriptorSet::decode(offramp_proto::DESCRIPTORS).unwrap().file;
        let files: Vec<_> = files.into_iter().filter(|file| file.package() == "offramp.v1").collect();
        let messages = files.iter().flat_map(|file| file.message_type.clone());
        let messages = messages.map(|message| (format!(".offramp.v1.{}", message.name()), message)).collect();
        let rpcs = files.iter().flat_map(|file| &file.service).flat_map(|service| {
            let path = |method: &str| format!("/offramp.v1.{}/{method}", service.name());
            service.method.iter().map(move |method| Rpc { path: path(method.name()), input: method.input_type().to_owned() })
        });
        Self { messages, rpcs: rpcs.collect() }
    }
}

/// Chance from a seed: `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>.
struct Chance(u64);

impl Chance {
    fn of(path: &str, seed: u64) -> Self {
        Self(path.bytes().fold(seed, |state, byte| state.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

struct Generator<'a> {
    chance: Chance,
    wire: &'a Wire,
    known: &'a Known,
    /// Most fields hold what they may.
    is_kind: bool,
}

impl Generator<'_> {
    fn request(&mut self, name: &str) -> Vec<u8> {
        if !self.is_kind && self.chance.one_in(6) {
            let length = self.chance.pick(&[0, 1, 7, 300]);
            return (0..length).map(|_| self.chance.next() as u8).collect();
        }
        let mut bytes = self.message(name, 0);
        if !bytes.is_empty() && !self.is_kind && self.chance.one_in(6) {
            let place = self.chance.below(bytes.len());
            if self.chance.one_in(2) { bytes.truncate(place) } else { bytes[place] ^= 1 << self.chance.below(8) }
        }
        bytes
    }

    fn message(&mut self, name: &str, depth: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in &self.wire.messages[name].field {
            let n_values = match field.label() {
                // They exclude each other, and what else is compared by.
                _ if self.is_kind && matches!(field.name(), "at_cost" | "at_share") => 0,
                _ if self.chance.one_in(if self.is_kind { 12 } else { 5 }) => 0,
                Label::Repeated if self.is_kind => self.chance.pick(&[1, 1, 2]),
                Label::Repeated => self.chance.pick(&[0, 1, 1, 2, 3, 65, 1_025]),
                Label::Optional | Label::Required => 1,
            };
            let n_values = if depth > 1 { n_values.min(3) } else { n_values };
            for _ in 0..n_values {
                self.value(field, depth, &mut bytes);
            }
        }
        bytes
    }

    fn value(&mut self, field: &prost_types::FieldDescriptorProto, depth: usize, bytes: &mut Vec<u8>) {
        let number = field.number().cast_unsigned();
        let key = |wire_type: u32| u64::from(number << 3 | wire_type);
        match field.r#type() {
            Type::String => delimited(key(2), self.text(field.name()).as_slice(), bytes),
            Type::Message if depth < 4 => {
                let message = self.message(field.type_name(), depth + 1);
                delimited(key(2), &message, bytes);
            }
            Type::Message => {}
            Type::Double => {
                varint(key(1), bytes);
                let share = self.chance.pick(&[0.5, 1.0]);
                let fine = self.is_fine();
                bytes.put_f64_le(if fine {
                    share
                } else {
                    self.chance.pick(&[0.0, -0.0, 0.5, 1.0, -1.0, 1e308, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE])
                });
            }
            _ => {
                varint(key(0), bytes);
                varint(self.integer(field.name()), bytes);
            }
        }
    }

    /// Whether the next field holds what it may.
    fn is_fine(&mut self) -> bool {
        self.is_kind && !self.chance.one_in(12)
    }

    fn integer(&mut self, field: &str) -> u64 {
        if self.is_fine() {
            return match field {
                // Of whatever sweep there is.
                "wait_ms" | "claim_sweep" | "sweep" => 0,
                "n_epochs" | "limit" => 9,
                "resamples" => 100,
                _ => 1 + self.chance.next() % 2,
            };
        }
        // A wait that is allowed would be waited for.
        if field == "wait_ms" {
            return self.chance.pick(&[0, 1, 60_001, u64::MAX, i64::MAX.cast_unsigned()]);
        }
        let small = self.chance.next() % 9;
        let signed = [-1_i64, -101, i64::MIN, i64::from(i32::MIN)].map(i64::cast_unsigned);
        let bounds = [63, 64, 65, 100, 101, 128, 1_024, 1_025, 10_001, u64::from(u32::MAX), i64::MAX.cast_unsigned(), u64::MAX];
        match self.chance.below(4) {
            0 => self.chance.pick(&signed),
            1 => self.chance.pick(&bounds),
            _ => small,
        }
    }

    fn text(&mut self, field: &str) -> Vec<u8> {
        let is_free = matches!(field, "message" | "file_name");
        if !is_free && self.is_fine() {
            return match field {
                "session" => self.known.session.clone(),
                "job_key" | "job" => self.known.leased.clone(),
                "sweep" | "sweeps" | "a" => self.known.sweep.clone(),
                // Another one, the first that there was.
                "b" => "1".to_owned(),
                "trainer" => "simulated".to_owned(),
                "device" => self.chance.pick(&["", "cpu", "cuda"]).to_owned(),
                "state" => self.chance.pick(&["", "queued", "leased"]).to_owned(),
                "policy" => "max-softmax".to_owned(),
                // What all views have that describe jobs.
                "view" => self.chance.pick(&["jobs", "v_exits"]).to_owned(),
                "where" => self.chance.pick(&["", "pattern = constant", "pattern.slope > 0 or seed in [0, 1]"]).to_owned(),
                "sort" => self.chance.pick(&["pattern", "-pattern"]).to_owned(),
                "columns" | "by" => "pattern".to_owned(),
                "dataset" => "digits".to_owned(),
                "metric" => self.chance.pick(&["", "area", "final_accuracy"]).to_owned(),
                "unit" => self.chance.pick(&["", "seed", "block"]).to_owned(),
                "baseline" => self.chance.pick(&["", "none"]).to_owned(),
                "text" => sweep_text(&format!("s{}", self.chance.below(40)), r#"["none"]"#, "0"),
                _ => "w".to_owned(),
            }
            .into_bytes();
        }
        // A whole sweep file, or most of one, where one is expected.
        if field == "text" && self.chance.one_in(2) {
            let mut text = sweep_text(&format!("s{}", self.chance.below(40)), r#"["none"]"#, "0").into_bytes();
            if self.chance.one_in(2) {
                let place = self.chance.below(text.len());
                text[place] = self.chance.pick(b"\"[]{}=\n#\0\x1b9-");
            }
            return text;
        }
        let hostile: [&str; 16] = [
            "",
            "\0",
            "a\0b",
            "\u{1b}]0;x\u{7}",
            "\u{202e}txt.exe",
            "\r\n",
            "0",
            "-1",
            "99-1",
            "9223372036854775807-9223372036854775807",
            "170141183460469231731687303715884105728",
            "'; DROP TABLE jobs; --",
            "%",
            "ffffffffffff",
            "\u{feff}ünïcödé 名前 🙂",
            "{\"$ref\": 1}",
        ];
        match self.chance.below(5) {
            0 | 1 => self.chance.pick(&self.known.texts).into_bytes(),
            2 | 3 => self.chance.pick(&hostile).as_bytes().to_vec(),
            _ => match self.chance.below(3) {
                0 => "n".repeat(10_000).into_bytes(),
                1 => "\u{0301}".repeat(300).into_bytes(),
                // No text at all.
                _ => vec![0xff, 0xfe, b'a', 0xc0],
            },
        }
    }
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn delimited(key: u64, content: &[u8], bytes: &mut Vec<u8>) {
    varint(key, bytes);
    varint(content.len() as u64, bytes);
    bytes.extend_from_slice(content);
}
