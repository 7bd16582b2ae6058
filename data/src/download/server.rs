//! A web server that does what a test asks for: one behaviour a request, in their order, the last one for all that follow.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behaviour {
    /// It answers as asked, with the part that a `Range` names.
    Serve,
    /// It answers as asked, and drops the connection after so many bytes of the body.
    DropAfter(usize),
    /// It sends the whole file whatever is asked for.
    IgnoreRange,
    /// It sends so many bytes of the file without saying how long the file is, and ends the answer as if it were complete.
    Truncate(usize),
    /// It sends this in the file's place.
    Other(&'static [u8]),
    /// It sends these bytes again and again without end, and without saying so.
    Endless,
    /// It answers a request for a part with the part from here on.
    WrongPart(usize),
    /// It answers with this status and no body.
    Status(&'static str),
    /// It sends those asking to this path.
    Redirect(&'static str),
    /// It closes the connection without an answer.
    HangUp,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A request's path, and the first byte asked for.
pub(crate) type Request = (String, Option<usize>);

impl Server {
    /// Serves one file. The server ends with the test's process.
    pub(crate) fn start(file: Vec<u8>, behaviours: Vec<Behaviour>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let behaviour = behaviours.get(n).or(behaviours.last()).unwrap();
                // Whoever asked may hang up in the middle of an answer.
                let _ = answer(&mut stream.unwrap(), &file, behaviour, &seen);
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The first byte of each request.
    pub(crate) fn ranges(&self) -> Vec<Option<usize>> {
        self.requests().into_iter().map(|(_, from)| from).collect()
    }
}

fn answer(stream: &mut TcpStream, file: &[u8], behaviour: &Behaviour, seen: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut from = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.strip_suffix('-').and_then(|from| from.parse().ok());
        }
    }
    seen.lock().unwrap().push((path, from));
    let part = |from: usize| {
        if from >= file.len() {
            return (
                format!("HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */{}\r\ncontent-length: 0", file.len()),
                &file[..0],
            );
        }
        let (body, last) = (&file[from..], file.len() - 1);
        let range = format!("content-range: bytes {from}-{last}/{}", file.len());
        (format!("HTTP/1.1 206 Partial Content\r\n{range}\r\ncontent-length: {}", body.len()), body)
    };
    let whole = |body: &[u8]| format!("HTTP/1.1 200 OK\r\ncontent-length: {}", body.len());
    let (head, body) = match behaviour {
        Behaviour::Serve | Behaviour::DropAfter(_) => from.map_or_else(|| (whole(file), file), part),
        Behaviour::IgnoreRange => (whole(file), file),
        Behaviour::Truncate(n) => ("HTTP/1.1 200 OK".to_owned(), &file[..*n]),
        Behaviour::Other(body) => (whole(body), *body),
        Behaviour::Endless => ("HTTP/1.1 200 OK".to_owned(), file),
        Behaviour::WrongPart(from) => part(*from),
        Behaviour::Status(status) => (format!("HTTP/1.1 {status}\r\ncontent-length: 0"), &file[..0]),
        Behaviour::Redirect(to) => (format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0"), &file[..0]),
        Behaviour::HangUp => return Ok(()),
    };
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes())?;
    match behaviour {
        Behaviour::DropAfter(n) => stream.write_all(&body[..*n]),
        Behaviour::Endless => loop {
            stream.write_all(body)?;
        },
        _ => stream.write_all(body),
    }
}
