use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::Digest as _;
use tempfile::TempDir;

use super::*;
use crate::catalogue::Archive;
use crate::checksum::{Checksum, hexadecimal};
use crate::download::server::{Behaviour, Server};
use crate::download::tests::Notes;
use crate::unpack::CHECKSUMS;

/// An archive of a folder `set` with files of these names, each holding its name.
fn archive(names: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(name.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("set/{name}"), name.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn remote(name: &'static str, content: &[u8], place: Place) -> Remote {
    let digits = Box::leak(hexadecimal(&sha2::Sha256::digest(content)).into_boxed_str());
    Remote { name, from: "http://nowhere.invalid/", n_bytes: Some(content.len() as u64), checksum: Checksum::Sha256(digits), place }
}

fn published(files: Vec<Remote>) -> Published {
    Published { files: Box::leak(files.into_boxed_slice()), n_images: [1, 1], statistics: None, licence: "none", citation: "none" }
}

const UNPACKED: Place = Place::Unpacked { archive: Archive::TarGz, root: "set", most_entries: 9, most_bytes: 1_000 };

fn packed_set(content: &[u8]) -> Published {
    published(vec![remote("set.tar.gz", content, UNPACKED)])
}

/// Fetches from a folder that holds `files`. A folder is whole when it has `a.bin`.
fn fetched(published: &Published, data_dir: &TempDir, files: &[(&str, &[u8])], replace: bool) -> Result<Vec<Fetched>, FetchError> {
    let mirror = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(mirror.path().join(name), content).unwrap();
    }
    let is_whole = |folder: &Path| if folder.join("a.bin").is_file() { Ok(()) } else { Err("no `a.bin`".to_owned()) };
    let mirror = Some(Mirror::Folder(mirror.path().to_owned()));
    fetch(published, data_dir.path(), mirror, replace, &is_whole, &mut Notes::default())
}

/// What is in the data folder, beside the lock.
fn listing(data_dir: &TempDir) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, into);
            } else {
                into.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(data_dir.path(), data_dir.path(), &mut found);
    found.retain(|path| path != ".incoming/lock");
    found.sort();
    found
}

#[test]
fn an_archive_is_unpacked_in_its_place_and_nothing_else_is_left() {
    let content = archive(&["a.bin", "deep/b.bin"]);
    let (set, dir) = (packed_set(&content), tempfile::tempdir().unwrap());
    assert_eq!(fetched(&set, &dir, &[("set.tar.gz", &content)], false).unwrap(), [Fetched::Installed]);
    assert_eq!(listing(&dir), [format!("set/{CHECKSUMS}"), "set/a.bin".into(), "set/deep/b.bin".into()]);
    assert_eq!(fetched(&set, &dir, &[], false).unwrap(), [Fetched::AlreadyThere], "what is there is not asked for");
}

#[test]
fn an_interrupted_download_is_gone_on_with_by_the_next_command() {
    let content = archive(&["a.bin"]);
    let (set, dir) = (packed_set(&content), tempfile::tempdir().unwrap());
    let is_whole = |_: &Path| Ok(());
    let broken = Server::start(content.clone(), vec![Behaviour::DropAfter(60), Behaviour::HangUp]);
    let mirror = |server: &Server| Some(server.url.parse().unwrap());
    let error = fetch(&set, dir.path(), mirror(&broken), false, &is_whole, &mut Notes::default()).unwrap_err();
    assert!(matches!(error, FetchError::Download(DownloadError::Broken { at: 60, .. })), "{error}");
    assert_eq!(listing(&dir), [".incoming/set.tar.gz.part"]);
    let mended = Server::start(content, vec![Behaviour::Serve]);
    fetch(&set, dir.path(), mirror(&mended), false, &is_whole, &mut Notes::default()).unwrap();
    assert_eq!(mended.ranges(), [Some(60)]);
    assert_eq!(listing(&dir), [format!("set/{CHECKSUMS}"), "set/a.bin".into()]);
}

#[test]
fn what_is_not_published_is_neither_unpacked_nor_kept() {
    let content = archive(&["a.bin"]);
    let (set, dir) = (packed_set(&content), tempfile::tempdir().unwrap());
    let mut corrupted = content;
    let middle = corrupted.len() / 2;
    corrupted[middle] ^= 1;
    let error = fetched(&set, &dir, &[("set.tar.gz", &corrupted)], false).unwrap_err();
    assert!(matches!(error, FetchError::Download(DownloadError::Checksum { .. })), "{error}");
    assert_eq!(listing(&dir), [""; 0]);
}

#[test]
fn an_archive_with_a_forbidden_entry_leaves_nothing_behind() {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    builder.append_data(&mut header, "set/a.bin", &b"x"[..]).unwrap();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut header, "set/link", "/etc").unwrap();
    let content = builder.into_inner().unwrap().finish().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = fetched(&packed_set(&content), &dir, &[("set.tar.gz", &content)], false).unwrap_err();
    assert!(matches!(error, FetchError::Unpack(UnpackError::Entry { what: "a link", .. })), "{error}");
    assert_eq!(listing(&dir), [".incoming/set.tar.gz.part"], "the published file itself may be looked at");
}

#[test]
fn what_is_in_the_way_stays_until_it_may_be_replaced() {
    let content = archive(&["a.bin"]);
    let (set, dir) = (packed_set(&content), tempfile::tempdir().unwrap());
    fs::create_dir(dir.path().join("set")).unwrap();
    fs::write(dir.path().join("set/mine.bin"), "precious").unwrap();
    let files: [(&str, &[u8]); 1] = [("set.tar.gz", &content)];
    let error = fetched(&set, &dir, &files, false).unwrap_err();
    assert!(error.to_string().ends_with("set` is there, and is not the published one (no `a.bin`)"), "{error}");
    assert!(error.hint().contains("--replace"));
    assert!(fetched(&set, &dir, &[], true).is_err(), "its successor cannot be had");
    assert_eq!(listing(&dir), ["set/mine.bin"]);
    assert_eq!(fetched(&set, &dir, &files, true).unwrap(), [Fetched::Installed]);
    assert_eq!(listing(&dir), [format!("set/{CHECKSUMS}"), "set/a.bin".into()]);
}

#[test]
fn single_files_are_compared_with_their_checksums_and_replaced_alone() {
    let place = Place::Folder("plain");
    let set = published(vec![remote("one", b"first", place), remote("two", b"second", place)]);
    let dir = tempfile::tempdir().unwrap();
    let error = fetched(&set, &dir, &[("one", b"first")], false).unwrap_err();
    assert!(matches!(error, FetchError::Download(DownloadError::Mirror { .. })), "{error}");
    assert_eq!(listing(&dir), ["plain/one"], "what is complete is kept");
    let both: [(&str, &[u8]); 2] = [("one", b"first"), ("two", b"second")];
    assert_eq!(fetched(&set, &dir, &both, false).unwrap(), [Fetched::AlreadyThere, Fetched::Installed]);
    fs::write(dir.path().join("plain/one"), "f1rst").unwrap();
    assert!(matches!(fetched(&set, &dir, &both, false), Err(FetchError::Occupied { .. })));
    assert_eq!(fetched(&set, &dir, &both, true).unwrap(), [Fetched::Installed, Fetched::AlreadyThere]);
    assert_eq!(fs::read(dir.path().join("plain/one")).unwrap(), b"first");
}

#[test]
fn one_process_at_a_time_fetches_into_a_folder() {
    let (set, dir) = (packed_set(b""), tempfile::tempdir().unwrap());
    let incoming = dir.path().join(INCOMING);
    fs::create_dir(&incoming).unwrap();
    let held = lock(&incoming, dir.path()).unwrap();
    assert!(matches!(fetched(&set, &dir, &[], false), Err(FetchError::Busy { .. })));
    drop(held);
    assert!(!matches!(fetched(&set, &dir, &[], false), Err(FetchError::Busy { .. })));
}
