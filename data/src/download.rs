//! Downloading one file: resumed where it was left, again where it broke off, and never used before its checksum is the published one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::http::{HeaderMap, StatusCode};

use crate::catalogue::Remote;

/// Tries without a byte of progress before a download is given up.
const TRIES: u32 = 5;
/// Tries altogether: a server that sends a little each time is not asked for ever.
const MOST_TRIES: u32 = 100;
/// The pause after the first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest wait for a connection, for an answer, and between two pieces of one.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most bytes of a file whose length is not known: thrice the largest.
const MOST_BYTES: u64 = 4 << 30;

/// Who follows downloads, and makes them wait.
pub trait Observer {
    /// A file begins, or begins again: `done` bytes are there, of `total` where that is known.
    fn begins(&mut self, file: &str, done: u64, total: Option<u64>);

    /// So many bytes are there.
    fn advanced(&mut self, done: u64);

    /// Something that whoever waits should know.
    fn says(&mut self, text: &str);

    /// Waits before the next try.
    fn pauses(&mut self, pause: Duration);
}

/// Where files come from in place of their publishers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A folder on a web server, by its URL.
    Url(String),
    /// A folder on this machine.
    Folder(PathBuf),
}

/// Why a text names no mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// It is empty.
    #[error("a mirror is an http:// or https:// URL, a file:// URL or a folder")]
    Empty,
    /// It is of no kind that there is.
    #[error("`{0}://` is no way to reach a mirror: http://, https:// and file:// are, and folders")]
    Scheme(String),
    /// A `file://` URL with a host, or without an absolute path.
    #[error("a file:// URL names an absolute path on this machine, as in file:///srv/datasets")]
    File,
}

impl std::str::FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        match text.split_once("://") {
            _ if text.is_empty() => Err(MirrorError::Empty),
            None => Ok(Self::Folder(text.into())),
            Some(("http" | "https", _)) => Ok(Self::Url(format!("{}/", text.trim_end_matches('/')))),
            Some(("file", path)) => {
                let path = path.strip_prefix("localhost").unwrap_or(path);
                let decoded = percent_decoded(path).filter(|path| path.starts_with('/'));
                decoded.map(|path| Self::Folder(path.into())).ok_or(MirrorError::File)
            }
            Some((scheme, _)) => Err(MirrorError::Scheme(scheme.to_owned())),
        }
    }
}

/// A URL's path with `%20` and its like resolved; `None` where that is no text.
fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        bytes.push((digit(high)? * 16 + digit(low)?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Why a file was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// A file on this machine could not be read or written.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A mirror on this machine does not have the file.
    #[error("cannot read `{}`", path.display())]
    Mirror {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server does not give the file out.
    #[error("`{url}` cannot be had: the server answers {status}")]
    Refused {
        /// Where it was asked for.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// The server has something else under the name.
    #[error("`{url}` is something else: it has {got} bytes, and the published file {expected}")]
    Length {
        /// Where it is.
        url: String,
        /// Bytes of the published file.
        expected: u64,
        /// Bytes that the server has, or as many as came before it was given up.
        got: u64,
    },
    /// It broke off again and again.
    #[error("`{url}` broke off {n_tries} times, the last time at byte {at}: {reason}")]
    Broken {
        /// Where it was asked for.
        url: String,
        /// How often without progress.
        n_tries: u32,
        /// How far it came.
        at: u64,
        /// What went wrong last.
        reason: String,
    },
    /// It arrived, and is not the published file.
    #[error("`{url}` is not the published file: its {kind} is {got}, expected {expected}")]
    Checksum {
        /// Where it was had from.
        url: String,
        /// Which checksum.
        kind: &'static str,
        /// The published one.
        expected: &'static str,
        /// Its own.
        got: String,
    },
}

impl DownloadError {
    /// What to do next.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "see that the disk has room and the folder can be written to; the same command goes on where it was",
            Self::Mirror { .. } => "the mirror must be a folder that holds the file under its published name",
            Self::Refused { .. } => "name another place that has the file with --mirror",
            Self::Broken { .. } => "the same command goes on where it broke off; --mirror names another place to download from",
            Self::Length { .. } | Self::Checksum { .. } => {
                "nothing of it was kept or used; name another place that has the published file with --mirror"
            }
        }
    }
}

/// Downloads files.
#[derive(Debug)]
pub struct Downloader {
    agent: Agent,
    mirror: Option<Mirror>,
}

/// How one try ended without the whole file.
enum Setback {
    /// Trying again may help.
    Passing(String),
    /// It won't.
    Final(DownloadError),
}

impl Downloader {
    /// A downloader from files' publishers, or from `mirror`.
    pub fn new(mirror: Option<Mirror>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            // A packed answer would have other lengths and ranges than the file.
            .accept_encoding("identity")
            .user_agent(concat!("offramp/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().new_agent(), mirror }
    }

    /// Downloads `file` to `part`, going on where an earlier try left off. When this returns, `part` is the published file.
    ///
    /// # Errors
    /// When it cannot be had, or what can be had is not the published file; of that, nothing is kept.
    pub fn download(&self, file: &Remote, part: &Path, observer: &mut dyn Observer) -> Result<(), DownloadError> {
        let source = match &self.mirror {
            Some(Mirror::Folder(folder)) => return copy(&folder.join(file.name), file, part, observer),
            Some(Mirror::Url(url)) => url,
            None => file.from,
        };
        let url = format!("{source}{}", file.name);
        let was_begun = length(part) > 0;
        self.until_whole(&url, file, part, observer)?;
        match check(&url, file, part) {
            // What was there before may be another version's beginning.
            Err(DownloadError::Checksum { .. }) if was_begun => {
                observer.says(&format!("{}: what was left of an earlier download did not fit, downloading it anew", file.name));
                self.until_whole(&url, file, part, observer)?;
                check(&url, file, part)
            }
            checked => checked,
        }
    }

    fn until_whole(&self, url: &str, file: &Remote, part: &Path, observer: &mut dyn Observer) -> Result<(), DownloadError> {
        let mut n_vain = 0;
        for n_tries in 1.. {
            let before = length(part);
            let reason = match self.attempt(url, file, part, observer) {
                Ok(()) => return Ok(()),
                Err(Setback::Final(error)) => return Err(error),
                Err(Setback::Passing(reason)) => reason,
            };
            let at = length(part);
            n_vain = if at > before { 1 } else { n_vain + 1 };
            if n_vain >= TRIES || n_tries >= MOST_TRIES {
                return Err(DownloadError::Broken { url: url.to_owned(), n_tries: n_vain, at, reason });
            }
            let pause = FIRST_PAUSE.saturating_mul(1 << (n_vain - 1)).min(LONGEST_PAUSE);
            observer.says(&format!("{}: {reason} at byte {at}, trying again in {} s", file.name, pause.as_secs()));
            observer.pauses(pause);
        }
        unreachable!("the tries are bounded")
    }

    /// Asks once for what is lacking.
    fn attempt(&self, url: &str, file: &Remote, part: &Path, observer: &mut dyn Observer) -> Result<(), Setback> {
        let io_error = |source| Setback::Final(DownloadError::Io { path: part.to_owned(), source });
        let begun = length(part);
        if file.n_bytes == Some(begun) {
            return Ok(());
        }
        let mut request = self.agent.get(url);
        if begun > 0 {
            request = request.header(RANGE, format!("bytes={begun}-"));
        }
        let mut response = request.call().map_err(|error| Setback::Passing(error.to_string()))?;
        let status = response.status();
        let from = match status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if range_start(response.headers()) == Some(begun) => begun,
            // The file is shorter than what is here, or the server counts in a way of its own: what is here is of no use.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                fs::remove_file(part).map_err(io_error)?;
                return Err(Setback::Passing(format!("the server has no part that begins there ({status})")));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(Setback::Passing(format!("the server answers {status}")));
            }
            _ if status.is_server_error() => return Err(Setback::Passing(format!("the server answers {status}"))),
            _ => return Err(Setback::Final(DownloadError::Refused { url: url.to_owned(), status })),
        };
        let announced = response.body().content_length().map(|n| from.saturating_add(n));
        if let (Some(expected), Some(got)) = (file.n_bytes, announced)
            && expected != got
        {
            return Err(Setback::Final(DownloadError::Length { url: url.to_owned(), expected, got }));
        }
        let total = file.n_bytes.or(announced);
        observer.begins(file.name, from, total);
        let mut target = OpenOptions::new().create(true).write(true).truncate(false).open(part).map_err(io_error)?;
        target.set_len(from).and_then(|()| target.seek(SeekFrom::Start(from))).map_err(io_error)?;
        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        let most = file.n_bytes.unwrap_or(MOST_BYTES);
        let mut done = from;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Setback::Passing(error.to_string())),
            };
            done += n as u64;
            if done > most {
                // Nothing of it is the published file.
                fs::remove_file(part).map_err(io_error)?;
                return Err(Setback::Final(DownloadError::Length { url: url.to_owned(), expected: most, got: done }));
            }
            target.write_all(&buffer[..n]).map_err(io_error)?;
            observer.advanced(done);
        }
        match total {
            Some(total) if done < total => Err(Setback::Passing("the server ended the transfer".to_owned())),
            _ => target.sync_all().map_err(io_error),
        }
    }
}

/// Copies a file from a folder on this machine.
fn copy(from: &Path, file: &Remote, part: &Path, observer: &mut dyn Observer) -> Result<(), DownloadError> {
    let read_error = |source| DownloadError::Mirror { path: from.to_owned(), source };
    let write_error = |source| DownloadError::Io { path: part.to_owned(), source };
    let mut source = File::open(from).map_err(read_error)?;
    let total = source.metadata().map_err(read_error)?.len();
    observer.begins(file.name, 0, Some(total));
    let mut target = File::create(part).map_err(write_error)?;
    let mut done = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = source.read(&mut buffer).map_err(read_error)?;
        if n == 0 {
            break;
        }
        target.write_all(&buffer[..n]).map_err(write_error)?;
        done += n as u64;
        observer.advanced(done);
    }
    target.sync_all().map_err(write_error)?;
    check(&from.display().to_string(), file, part)
}

/// Compares a whole file with the published one, and removes it where it is another.
fn check(url: &str, file: &Remote, part: &Path) -> Result<(), DownloadError> {
    let io_error = |source| DownloadError::Io { path: part.to_owned(), source };
    let got = file.checksum.of_file(part).map_err(io_error)?;
    if got == file.checksum.digits() {
        return Ok(());
    }
    let n_bytes = length(part);
    fs::remove_file(part).map_err(io_error)?;
    match file.n_bytes {
        Some(expected) if expected != n_bytes => Err(DownloadError::Length { url: url.to_owned(), expected, got: n_bytes }),
        _ => {
            let (kind, expected) = (file.checksum.kind(), file.checksum.digits());
            Err(DownloadError::Checksum { url: url.to_owned(), kind, expected, got })
        }
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |facts| facts.len())
}

/// Where the part in an answer begins, from `Content-Range: bytes 100-199/200`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
pub(crate) mod tests;
