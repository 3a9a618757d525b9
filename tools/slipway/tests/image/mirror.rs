//! A mirror on this machine, with answers that a test sets.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The answer to a path.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Whole(Vec<u8>),
    /// All of it, up to the end of the connection.
    WithoutLength(Vec<u8>),
    /// The connection breaks in the middle, once.
    TornOnce(Vec<u8>),
    Status(u16),
}

type Answers = Arc<Mutex<BTreeMap<String, Answer>>>;

/// Listens until the test ends.
pub(crate) struct Mirror {
    pub(crate) url: String,
    answers: Answers,
}

impl Mirror {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let answers = Arc::clone(&shared);
                std::thread::spawn(move || answer(connection, &answers));
            }
        });
        Self { url, answers }
    }

    pub(crate) fn set(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(format!("/{path}"), answer);
    }
}

fn answer(mut connection: TcpStream, answers: &Answers) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    for _ in lines.by_ref().take_while(|line| !line.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut answers = answers.lock().unwrap();
    let found = answers.get(&path).cloned().unwrap_or(Answer::Status(404));
    let without_length = matches!(found, Answer::WithoutLength(_));
    let (status, body, sent) = match found {
        Answer::Whole(body) => (200, body.clone(), body.len()),
        Answer::TornOnce(body) => {
            answers.insert(path, Answer::Whole(body.clone()));
            (200, body.clone(), body.len() / 2)
        }
        Answer::WithoutLength(body) => (200, body.clone(), body.len()),
        Answer::Status(status) => (status, Vec::new(), 0),
    };
    drop(answers);
    let length = if without_length { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} x\r\n{length}Connection: close\r\n\r\n");
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&body[..sent]));
}
