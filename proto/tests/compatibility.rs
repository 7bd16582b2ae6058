//! Peers of different builds talk to each other: what was once on the wire keeps its name, its number and its type.
//!
//! `proto/compat/v1.txt` lists every field, every enum value and every RPC that was ever released, a line each. A line that disappears or changes
//! breaks peers, and fails this test. Lines for what is new are appended by
//!
//! ```sh
//! OFFRAMP_RECORD_WIRE=1 cargo test -p offramp-proto --test compatibility
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto};

/// What the recorded lines and the descriptors do not agree on.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    /// Recorded, and there no longer.
    gone: Vec<String>,
    /// There, and not recorded yet.
    new: Vec<String>,
}

fn compare(recorded: &str, lines: &[String]) -> Difference {
    let recorded: BTreeSet<&str> = recorded.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let present: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    // A value that may be absent now is written as it was: a peer that does not know of the absence reads 0 or an empty text, as it would have before.
    let may_be_absent =
        |line: &str| line.strip_suffix(" singular").is_some_and(|field| present.contains(format!("{field} optional").as_str()));
    Difference {
        gone: recorded.difference(&present).filter(|line| !may_be_absent(line)).map(|line| (*line).to_owned()).collect(),
        new: lines.iter().filter(|line| !recorded.contains(line.as_str())).cloned().collect(),
    }
}

/// Everything that peers rely on, a line each, in the order of the files.
fn lines(descriptors: &FileDescriptorSet) -> Vec<String> {
    let mut lines = Vec::new();
    for file in &descriptors.file {
        let package = file.package();
        for message in &file.message_type {
            lines_of_message(&format!("{package}.{}", message.name()), message, &mut lines);
        }
        for values in &file.enum_type {
            lines_of_enum(&format!("{package}.{}", values.name()), values, &mut lines);
        }
        for service in &file.service {
            lines.extend(service.method.iter().map(|method| line_of_rpc(&format!("{package}.{}", service.name()), method)));
        }
    }
    lines
}

fn lines_of_message(name: &str, message: &DescriptorProto, lines: &mut Vec<String>) {
    if message.field.is_empty() {
        lines.push(format!("message {name}"));
    }
    lines.extend(message.field.iter().map(|field| line_of_field(name, message, field)));
    for nested in &message.nested_type {
        lines_of_message(&format!("{name}.{}", nested.name()), nested, lines);
    }
    for values in &message.enum_type {
        lines_of_enum(&format!("{name}.{}", values.name()), values, lines);
    }
}

fn line_of_field(message_name: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let kind = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    let label = match (field.label(), field.oneof_index) {
        (Label::Repeated, _) => "repeated".to_owned(),
        _ if field.proto3_optional() => "optional".to_owned(),
        (_, Some(index)) => format!("oneof {}", message.oneof_decl[index.cast_unsigned() as usize].name()),
        _ => "singular".to_owned(),
    };
    format!("field {message_name}.{} = {} {kind} {label}", field.name(), field.number())
}

fn lines_of_enum(name: &str, values: &EnumDescriptorProto, lines: &mut Vec<String>) {
    lines.extend(values.value.iter().map(|value| format!("value {name}.{} = {}", value.name(), value.number())));
}

fn line_of_rpc(service: &str, method: &MethodDescriptorProto) -> String {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    format!(
        "rpc {service}/{} ({}{}) returns ({}{})",
        method.name(),
        stream(method.client_streaming()),
        method.input_type().trim_start_matches('.'),
        stream(method.server_streaming()),
        method.output_type().trim_start_matches('.'),
    )
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(offramp_proto::DESCRIPTORS).expect("the build wrote them")
}

#[test]
fn what_was_on_the_wire_is_there_as_it_was() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/v1.txt");
    let recorded = std::fs::read_to_string(&path).unwrap();
    let Difference { gone, new } = compare(&recorded, &lines(&descriptors()));
    assert!(
        gone.is_empty(),
        "peers of other builds rely on what is gone:\n{}\nhint: leave it as it was, and add a field of another name and number",
        gone.join("\n"),
    );
    #[expect(clippy::disallowed_methods, reason = "how whoever runs the test asks for the new lines")]
    let records = std::env::var("OFFRAMP_RECORD_WIRE").is_ok();
    if records && !new.is_empty() {
        let mut text = recorded;
        for line in new {
            let _ = writeln!(text, "{line}");
        }
        std::fs::write(&path, text).unwrap();
    }
}

/// What a change of `change` is called.
fn difference_after(change: impl FnOnce(&mut FileDescriptorSet)) -> Difference {
    let before = lines(&descriptors()).join("\n");
    let mut changed = descriptors();
    change(&mut changed);
    compare(&before, &lines(&changed))
}

fn claim(descriptors: &mut FileDescriptorSet) -> &mut DescriptorProto {
    let mut messages = descriptors.file.iter_mut().flat_map(|file| &mut file.message_type);
    messages.find(|message| message.name() == "ClaimRequest").expect("it is there")
}

#[test]
fn what_breaks_peers_is_told() {
    let session = "field offramp.v1.ClaimRequest.session = 1 string singular";
    let gone = |change: fn(&mut FileDescriptorSet)| difference_after(change).gone;
    assert_eq!(gone(|_| {}), Vec::<String>::new());
    assert_eq!(gone(|all| drop(claim(all).field.remove(0))), [session]);
    assert_eq!(gone(|all| claim(all).field[0].number = Some(9)), [session]);
    assert_eq!(gone(|all| claim(all).field[0].name = Some("sitting".to_owned())), [session]);
    assert_eq!(gone(|all| claim(all).field[0].set_type(Type::Bytes)), [session]);
    assert_eq!(gone(|all| claim(all).field[0].set_label(Label::Repeated)), [session]);
    let service = |all: &mut FileDescriptorSet| {
        let mut services = all.file.iter_mut().flat_map(|file| &mut file.service);
        let service = services.find(|service| service.name() == "SweepService").unwrap();
        let method = service.method.iter_mut().find(|method| method.name() == "WatchSweep").unwrap();
        method.server_streaming = Some(false);
    };
    assert_eq!(
        difference_after(service).gone,
        ["rpc offramp.v1.SweepService/WatchSweep (offramp.v1.GetSweepRequest) returns (stream offramp.v1.SweepStatus)"]
    );
    let values = |all: &mut FileDescriptorSet| {
        let mut enums = all.file.iter_mut().flat_map(|file| &mut file.enum_type);
        enums.find(|values| values.name() == "FailureKind").unwrap().value[1].number = Some(77);
    };
    assert_eq!(difference_after(values).gone, ["value offramp.v1.FailureKind.FAILURE_KIND_FAILED = 1"]);
}

#[test]
fn a_field_may_become_one_that_can_be_absent_and_not_the_other_way_round() {
    let sweep = "field offramp.v1.FrontierRow.sweep = 1 int64";
    let (always, sometimes) = (format!("{sweep} singular"), format!("{sweep} optional"));
    let of = |recorded: &str, now: &str| compare(recorded, &[now.to_owned()]).gone;
    assert_eq!(of(&always, &sometimes), Vec::<String>::new());
    assert_eq!(of(&sometimes, &always), [sometimes]);
}

#[test]
fn what_is_new_breaks_nobody() {
    let difference = difference_after(|all| {
        let field = FieldDescriptorProto { name: Some("urgency".to_owned()), number: Some(99), ..claim(all).field[0].clone() };
        claim(all).field.push(field);
    });
    let new = "field offramp.v1.ClaimRequest.urgency = 99 string singular".to_owned();
    assert_eq!(difference, Difference { gone: vec![], new: vec![new] });
}
