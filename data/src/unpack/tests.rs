use std::io::Cursor;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::*;

const LIMITS: Limits<'static> = Limits { root: "set", most_entries: 6, most_bytes: 10_000 };

/// A tar stream of entries: type, name as it stands in the header, target of a link, content.
fn tar_gz(entries: &[(tar::EntryType, &str, &str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for &(kind, name, link, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the library refuses to write what an attacker would.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o4777);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for &(name, content) in entries {
        if name.ends_with('/') {
            writer.add_directory(name, SimpleFileOptions::default()).unwrap();
        } else {
            writer.start_file(name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

struct Unpacked {
    result: Result<(), UnpackError>,
    dir: TempDir,
}

fn unpacked(kind: Archive, bytes: &[u8]) -> Unpacked {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("archive"), bytes).unwrap();
    fs::create_dir(dir.path().join("into")).unwrap();
    let result = unpack(kind, &dir.path().join("archive"), &dir.path().join("into"), LIMITS, &mut |_| {});
    Unpacked { result, dir }
}

/// What unpacking says, with the folder's name out of it; nothing may have been written beside the archive's folder.
fn complaint(kind: Archive, bytes: &[u8]) -> String {
    let Unpacked { result, dir } = unpacked(kind, bytes);
    let mut beside: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    beside.sort();
    assert_eq!(beside, ["archive", "into"]);
    let below: Vec<_> = fs::read_dir(dir.path().join("into")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(below.iter().all(|name| name == "set"), "{below:?}");
    result.unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
}

const REGULAR: tar::EntryType = tar::EntryType::Regular;

#[test]
fn files_and_folders_are_unpacked_with_their_checksums() {
    let tar = tar_gz(&[
        (tar::EntryType::Directory, "./set/", "", b""),
        (REGULAR, "./set/a.bin", "", b"abc"),
        (REGULAR, "set/deep/b.bin", "", b""),
    ]);
    let zip = zipped(&[("set/", b""), ("set/a.bin", b"abc"), ("set/deep/b.bin", b"")]);
    for (kind, bytes) in [(Archive::TarGz, tar), (Archive::Zip, zip)] {
        let Unpacked { result, dir } = unpacked(kind, &bytes);
        result.unwrap();
        let root = dir.path().join("into/set");
        assert_eq!(fs::read(root.join("a.bin")).unwrap(), b"abc");
        assert_eq!(fs::read(root.join("deep/b.bin")).unwrap(), b"");
        // FIPS 180-2's "abc", and the empty message.
        let sums = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.bin\n\
                    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  deep/b.bin\n";
        assert_eq!(fs::read_to_string(root.join(CHECKSUMS)).unwrap(), sums);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(root.join("a.bin")).unwrap().permissions().mode();
            assert_eq!(mode & 0o7111, 0, "an archive makes nothing executable: {mode:o}");
        }
    }
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for name in ["../evil", "set/../../evil", "/tmp/evil", "set/../evil"] {
        let tar = complaint(Archive::TarGz, &tar_gz(&[(REGULAR, name, "", b"x")]));
        assert_eq!(tar, format!("entry `{name}` of `DIR/archive` is a path that leads elsewhere"));
        let zip = complaint(Archive::Zip, &zipped(&[(name, b"x")]));
        assert!(zip.ends_with("is a path that leads elsewhere") || zip.ends_with("is outside the archive's folder"), "{zip}");
    }
    let beside = complaint(Archive::TarGz, &tar_gz(&[(REGULAR, "other/evil", "", b"x")]));
    assert_eq!(beside, "entry `other/evil` of `DIR/archive` is outside the archive's folder");
    for name in ["set\\..\\..\\evil", "C:evil", "set/\u{1b}[2J"] {
        let said = complaint(Archive::TarGz, &tar_gz(&[(REGULAR, name, "", b"x")]));
        assert!(said.ends_with("is no path that a dataset's file has"), "{said}");
    }
    let long = format!("set/{}", "a".repeat(MAX_PATH_BYTES));
    let said = complaint(Archive::Zip, &zipped(&[(long.as_str(), b"x")]));
    assert!(said.ends_with("is no path that a dataset's file has"), "{said}");
    let root = complaint(Archive::TarGz, &tar_gz(&[(REGULAR, "set", "", b"x")]));
    assert_eq!(root, "entry `set` of `DIR/archive` is a file in place of the archive's folder");
}

#[test]
fn links_and_devices_are_refused_and_nothing_is_written_through_them() {
    let through = [(tar::EntryType::Symlink, "set/link", "../..", &b""[..]), (REGULAR, "set/link/evil", "", b"x")];
    assert_eq!(complaint(Archive::TarGz, &tar_gz(&through)), "entry `set/link` of `DIR/archive` is a link");
    let hard = [(tar::EntryType::Link, "set/link", "/etc/passwd", &b""[..])];
    assert_eq!(complaint(Archive::TarGz, &tar_gz(&hard)), "entry `set/link` of `DIR/archive` is a link");
    let device = [(tar::EntryType::Char, "set/null", "", &b""[..])];
    assert_eq!(complaint(Archive::TarGz, &tar_gz(&device)), "entry `set/null` of `DIR/archive` is neither a file nor a folder");
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("set/link", "../..", SimpleFileOptions::default()).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    assert_eq!(complaint(Archive::Zip, &zip), "entry `set/link` of `DIR/archive` is a link");
}

#[test]
fn bombs_are_stopped_by_what_comes_out_of_them() {
    let zeros = vec![0; 3_000_000];
    let tar = tar_gz(&[(REGULAR, "set/zeros", "", &zeros)]);
    let zip = zipped(&[("set/zeros", &zeros)]);
    assert!(tar.len() < 10_000 && zip.len() < 10_000, "they look small");
    for (kind, bytes) in [(Archive::TarGz, tar), (Archive::Zip, zip)] {
        assert_eq!(complaint(kind, &bytes), "`DIR/archive` unpacks to more than 10000 bytes");
    }
    // Many small files instead of a large one.
    let many: Vec<String> = (0..10).map(|n| format!("set/{n}")).collect();
    let entries: Vec<_> = many.iter().map(|name| (REGULAR, name.as_str(), "", &b""[..])).collect();
    assert_eq!(complaint(Archive::TarGz, &tar_gz(&entries)), "`DIR/archive` has more than 6 entries");
    let entries: Vec<_> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(complaint(Archive::Zip, &zipped(&entries)), "`DIR/archive` has more than 6 entries");
    // A name of three million bytes, which the library would hold in memory.
    let long_name = tar_gz(&[(tar::EntryType::GNULongName, "././@LongLink", "", &vec![b'a'; 3_000_000]), (REGULAR, "set/a", "", b"")]);
    assert_eq!(complaint(Archive::TarGz, &long_name), "`DIR/archive` unpacks to more than 10000 bytes");
}

#[test]
fn a_file_that_is_there_twice_is_refused() {
    let twice = [(REGULAR, "set/a", "", &b"1"[..]), (REGULAR, "set/a", "", b"2")];
    assert_eq!(complaint(Archive::TarGz, &tar_gz(&twice)), "entry `set/a` of `DIR/archive` is there twice");
}

#[test]
fn what_is_no_archive_is_said() {
    for kind in [Archive::TarGz, Archive::Zip] {
        assert_eq!(complaint(kind, b"<html>"), "`DIR/archive` cannot be read as an archive");
    }
    let whole = tar_gz(&[(REGULAR, "set/a", "", &(0..=255).collect::<Vec<u8>>())]);
    assert_eq!(complaint(Archive::TarGz, &whole[..whole.len() / 2]), "`DIR/archive` cannot be read as an archive");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn hostile_bytes_write_nothing_elsewhere(
        is_tar in any::<bool>(), cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = if is_tar {
            // Not compressed any further, so that flips reach the headers.
            let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
            let plain = tar_gz(&[(REGULAR, "set/a.bin", "", b"abc"), (tar::EntryType::Directory, "set/b/", "", b"")]);
            io::copy(&mut GzDecoder::new(&plain[..]), &mut encoder).unwrap();
            encoder.finish().unwrap()
        } else {
            zipped(&[("set/a.bin", b"abc"), ("set/b/", b"")])
        };
        bytes.truncate(cut.index(3 * bytes.len()).max(1));
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let kind = if is_tar { Archive::TarGz } else { Archive::Zip };
        let Unpacked { result, dir } = unpacked(kind, &bytes);
        if result.is_ok() {
            prop_assert!(dir.path().join("into/set").join(CHECKSUMS).is_file());
        }
        let beside = fs::read_dir(dir.path()).unwrap().count() + fs::read_dir(dir.path().join("into")).unwrap().count();
        prop_assert!(beside <= 3);
    }
}
