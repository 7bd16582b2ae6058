use sha2::Digest as _;

use super::server::{Behaviour, Server};
use super::*;
use crate::catalogue::Place;
use crate::checksum::{Checksum, hexadecimal};

/// Ten thousand bytes, no part of which equals another.
pub(crate) fn content() -> Vec<u8> {
    (0..2_500_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn published(content: &[u8], n_bytes: Option<u64>) -> Remote {
    let digits = Box::leak(hexadecimal(&sha2::Sha256::digest(content)).into_boxed_str());
    Remote { name: "set.bin", from: "http://nowhere.invalid/", n_bytes, checksum: Checksum::Sha256(digits), place: Place::Folder("set") }
}

/// Notes what it is told, and does not wait.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) begins: Vec<(String, u64, Option<u64>)>,
    pub(crate) done: u64,
    pub(crate) says: Vec<String>,
    pub(crate) pauses: Vec<u64>,
}

impl Observer for Notes {
    fn begins(&mut self, file: &str, done: u64, total: Option<u64>) {
        self.begins.push((file.to_owned(), done, total));
    }

    fn advanced(&mut self, done: u64) {
        self.done = done;
    }

    fn says(&mut self, text: &str) {
        self.says.push(text.to_owned());
    }

    fn pauses(&mut self, pause: Duration) {
        self.pauses.push(pause.as_secs());
    }
}

struct Run {
    result: Result<(), DownloadError>,
    notes: Notes,
    server: Server,
    /// What is left of the file on disk.
    kept: Option<Vec<u8>>,
}

/// Downloads `file` from a server, with `begun` on disk already.
fn download(file: &Remote, served: Vec<u8>, behaviours: &[Behaviour], begun: &[u8]) -> Run {
    let server = Server::start(served, behaviours.to_vec());
    let dir = tempfile::tempdir().unwrap();
    let part = dir.path().join("set.bin.part");
    if !begun.is_empty() {
        fs::write(&part, begun).unwrap();
    }
    let mut notes = Notes::default();
    let result = Downloader::new(Some(server.url.parse().unwrap())).download(file, &part, &mut notes);
    Run { result, notes, server, kept: fs::read(&part).ok() }
}

fn known() -> Remote {
    published(&content(), Some(10_000))
}

#[test]
fn a_file_arrives_with_its_progress() {
    for file in [known(), published(&content(), None)] {
        let Run { result, notes, server, kept } = download(&file, content(), &[Behaviour::Serve], &[]);
        result.unwrap();
        assert_eq!(kept, Some(content()));
        assert_eq!((notes.begins, notes.done), (vec![("set.bin".to_owned(), 0, Some(10_000))], 10_000));
        assert_eq!(server.requests(), [("/set.bin".to_owned(), None)]);
    }
}

#[test]
fn what_an_earlier_run_left_is_gone_on_with() {
    let Run { result, notes, server, kept } = download(&known(), content(), &[Behaviour::Serve], &content()[..4_000]);
    result.unwrap();
    assert_eq!((kept, server.ranges()), (Some(content()), vec![Some(4_000)]));
    assert_eq!(notes.begins, [("set.bin".to_owned(), 4_000, Some(10_000))]);
    let whole = download(&known(), content(), &[Behaviour::HangUp], &content());
    whole.result.unwrap();
    assert_eq!(whole.server.requests(), [], "a file that is whole is not asked for");
}

#[test]
fn dropped_connections_are_gone_on_with_and_progress_renews_patience() {
    let behaviours: Vec<Behaviour> = [Behaviour::HangUp, Behaviour::DropAfter(1_000)].repeat(9);
    let Run { result, notes, server, kept } = download(&known(), content(), &[behaviours, vec![Behaviour::Serve]].concat(), &[]);
    result.unwrap();
    assert_eq!(kept, Some(content()));
    let expected: Vec<Option<usize>> = (0..9).flat_map(|n| [n, n]).chain([9]).map(|n| (n > 0).then_some(n * 1_000)).collect();
    assert_eq!(server.ranges(), expected);
    assert!(notes.pauses.iter().all(|&seconds| seconds <= 2), "{:?}", notes.pauses);
}

#[test]
fn a_server_that_never_delivers_is_given_up() {
    let Run { result, notes, kept, .. } = download(&known(), content(), &[Behaviour::DropAfter(500), Behaviour::HangUp], &[]);
    let error = result.unwrap_err();
    assert!(matches!(error, DownloadError::Broken { n_tries: 5, at: 500, .. }), "{error}");
    assert!(error.hint().contains("goes on where it broke off"));
    assert_eq!(notes.pauses, [1, 2, 4, 8]);
    assert_eq!(kept, Some(content()[..500].to_vec()), "what came is kept for the next time");
    let drip = download(&published(&content(), None), content(), &[Behaviour::DropAfter(1)], &[]);
    assert!(matches!(drip.result, Err(DownloadError::Broken { at: 100, .. })), "{:?}", drip.result);
}

#[test]
fn servers_that_ignore_ranges_or_count_wrongly_start_over() {
    let ignoring = download(&known(), content(), &[Behaviour::DropAfter(3_000), Behaviour::IgnoreRange], &[]);
    ignoring.result.unwrap();
    assert_eq!((ignoring.kept, ignoring.server.ranges()), (Some(content()), vec![None, Some(3_000)]));
    let wrong = download(&known(), content(), &[Behaviour::WrongPart(2_000), Behaviour::Serve], &content()[..3_000]);
    wrong.result.unwrap();
    assert_eq!((wrong.kept, wrong.server.ranges()), (Some(content()), vec![Some(3_000), None]));
}

#[test]
fn a_beginning_of_something_else_is_thrown_away_once() {
    let Run { result, notes, server, kept } = download(&known(), content(), &[Behaviour::Serve], &[7; 4_000]);
    result.unwrap();
    assert_eq!((kept, server.ranges()), (Some(content()), vec![Some(4_000), None]));
    assert_eq!(notes.says, ["set.bin: what was left of an earlier download did not fit, downloading it anew"]);
    // Of a file whose length is not published: too much is there, and the server has no part beyond its end.
    let longer = download(&published(&content(), None), content(), &[Behaviour::Serve], &[7; 12_000]);
    longer.result.unwrap();
    assert_eq!((longer.kept, longer.server.ranges()), (Some(content()), vec![Some(12_000), None]));
}

#[test]
fn truncated_files_are_asked_for_again_where_the_length_is_known_and_refused_where_not() {
    let known = download(&known(), content(), &[Behaviour::Truncate(6_000), Behaviour::Serve], &[]);
    known.result.unwrap();
    assert_eq!((known.kept, known.server.ranges()), (Some(content()), vec![None, Some(6_000)]));
    let unknown = download(&published(&content(), None), content(), &[Behaviour::Truncate(6_000)], &[]);
    assert!(matches!(unknown.result, Err(DownloadError::Checksum { .. })), "{:?}", unknown.result);
    assert_eq!(unknown.kept, None);
}

#[test]
fn corrupted_files_are_never_kept() {
    let mut corrupted = content();
    corrupted[5_000] ^= 1;
    let Run { result, kept, .. } = download(&known(), corrupted.clone(), &[Behaviour::Serve], &[]);
    let error = result.unwrap_err();
    let got = hexadecimal(&sha2::Sha256::digest(&corrupted));
    let said = format!("/set.bin` is not the published file: its SHA-256 is {got}, expected {}", known().checksum.digits());
    assert!(error.to_string().ends_with(&said), "{error}");
    assert!(error.hint().contains("--mirror"));
    assert_eq!(kept, None);
}

#[test]
fn something_else_under_the_name_is_told_by_its_length_before_it_is_read() {
    let Run { result, kept, .. } = download(&known(), content(), &[Behaviour::Other(b"<html>moved</html>")], &[]);
    assert!(matches!(result, Err(DownloadError::Length { expected: 10_000, got: 18, .. })), "{result:?}");
    assert_eq!(kept, None);
    let endless = download(&known(), content(), &[Behaviour::Endless], &[]);
    assert!(matches!(endless.result, Err(DownloadError::Length { expected: 10_000, .. })), "{:?}", endless.result);
    assert_eq!(endless.kept, None);
}

#[test]
fn answers_that_time_may_change_are_waited_for_and_others_are_final() {
    let busy = [Behaviour::Status("503 Service Unavailable"), Behaviour::Status("429 Too Many Requests"), Behaviour::Serve];
    let Run { result, notes, .. } = download(&known(), content(), &busy, &[]);
    result.unwrap();
    assert_eq!(notes.pauses, [1, 2]);
    assert_eq!(notes.says[0], "set.bin: the server answers 503 Service Unavailable at byte 0, trying again in 1 s");
    let Run { result, server, .. } = download(&known(), content(), &[Behaviour::Status("404 Not Found")], &[]);
    let error = result.unwrap_err().to_string();
    assert!(error.ends_with("/set.bin` cannot be had: the server answers 404 Not Found"), "{error}");
    assert_eq!(server.ranges().len(), 1);
    let moved = download(&known(), content(), &[Behaviour::Redirect("/elsewhere"), Behaviour::Serve], &[]);
    moved.result.unwrap();
    assert_eq!(moved.server.requests()[1].0, "/elsewhere");
}

#[test]
fn folders_are_mirrors_and_are_checked_like_servers() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("my mirror");
    fs::create_dir(&folder).unwrap();
    let part = dir.path().join("part");
    let url = format!("file://{}", folder.display()).replace(' ', "%20");
    for mirror in [url.as_str(), folder.to_str().unwrap()] {
        let downloader = Downloader::new(Some(mirror.parse().unwrap()));
        let missing = downloader.download(&known(), &part, &mut Notes::default()).unwrap_err();
        assert!(matches!(&missing, DownloadError::Mirror { path, .. } if path.ends_with("my mirror/set.bin")), "{missing}");
        fs::write(folder.join("set.bin"), content()).unwrap();
        // What an earlier run left is of no use: a copy is quicker than a comparison.
        fs::write(&part, b"left over").unwrap();
        downloader.download(&known(), &part, &mut Notes::default()).unwrap();
        assert_eq!(fs::read(&part).unwrap(), content());
        fs::write(folder.join("set.bin"), &content()[..9_000]).unwrap();
        let short = downloader.download(&known(), &part, &mut Notes::default()).unwrap_err();
        assert!(matches!(short, DownloadError::Length { expected: 10_000, got: 9_000, .. }), "{short}");
        assert!(!part.exists());
        fs::remove_file(folder.join("set.bin")).unwrap();
    }
}

#[test]
fn mirrors_are_urls_or_folders() {
    let parse = |text: &str| text.parse::<Mirror>();
    assert_eq!(parse("https://mirror.example/sets//"), Ok(Mirror::Url("https://mirror.example/sets/".into())));
    assert_eq!(parse("file:///srv/my%20sets"), Ok(Mirror::Folder("/srv/my sets".into())));
    assert_eq!(parse("file://localhost/srv"), Ok(Mirror::Folder("/srv".into())));
    assert_eq!(parse("sets/here"), Ok(Mirror::Folder("sets/here".into())));
    for wrong in ["file://host/srv", "file://srv", "file:///%zz", "file:///%f", "file:///%ff"] {
        assert_eq!(parse(wrong), Err(MirrorError::File), "{wrong}");
    }
    assert_eq!(parse("ftp://old.example"), Err(MirrorError::Scheme("ftp".into())));
    assert_eq!(parse(""), Err(MirrorError::Empty));
}
