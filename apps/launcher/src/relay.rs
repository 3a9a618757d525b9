//! Passes the program's output on, line by line and as it is, and keeps the end of it.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much of the end is kept, in bytes.
const KEPT: usize = 8 * 1024;
/// A longer line is passed on in pieces, in bytes.
const LONGEST_LINE: usize = 64 * 1024;
/// How long the end of the output is waited for once every process that could write is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A stream that is being passed on.
#[derive(Debug)]
pub(crate) struct Relay {
    end: Arc<Mutex<Vec<u8>>>,
    done: Receiver<()>,
}

impl Relay {
    /// Passes `from` on to `to` from a thread of its own. Whole lines reach `to` in one piece, so they do not mix with what this program logs.
    pub(crate) fn start(from: impl Read + Send + 'static, to: impl Write + Send + 'static) -> io::Result<Self> {
        let end = Arc::default();
        let (ended, done) = channel();
        let kept = Arc::clone(&end);
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            pass(from, to, &kept);
            let _ = ended.send(());
        })?;
        Ok(Self { end, done })
    }

    /// The end of the stream, after every process that could write to it is gone.
    pub(crate) fn end(self) -> String {
        // it is not waited for without a limit: on systems that adopt no orphans, one may hold the stream open
        let _ = self.done.recv_timeout(LAST_WORDS);
        String::from_utf8_lossy(&self.end.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

fn pass(mut from: impl Read, mut to: impl Write, kept: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut line = Vec::new();
    let mut flush = |line: &mut Vec<u8>, upto: usize| {
        // nobody reads any longer: the program must not notice
        let _ = to.write_all(&line[..upto]).and_then(|()| to.flush());
        line.drain(..upto);
    };
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        keep(kept, &buffer[..read]);
        line.extend_from_slice(&buffer[..read]);
        // progress bars end their lines with a carriage return
        if let Some(last) = line.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')) {
            flush(&mut line, last + 1);
        }
        if line.len() > LONGEST_LINE {
            let all = line.len();
            flush(&mut line, all);
        }
    }
    if !line.is_empty() {
        line.push(b'\n');
        let all = line.len();
        flush(&mut line, all);
    }
}

fn keep(kept: &Mutex<Vec<u8>>, bytes: &[u8]) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend_from_slice(bytes);
    let surplus = kept.len().saturating_sub(KEPT);
    kept.drain(..surplus);
}

/// The last lines of a text that are not blank, at most `count` of them.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    // a progress bar overwrites its line
    let lines = text.lines().map(|line| line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default().trim_end());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    /// Each write is one element.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn relayed(pieces: &[&str]) -> (Vec<String>, String) {
        let (from, mut to) = io::pipe().unwrap();
        let writes = Writes::default();
        let relay = Relay::start(from, writes.clone()).unwrap();
        for piece in pieces {
            to.write_all(piece.as_bytes()).unwrap();
            // so that each piece is read by itself
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(to);
        let end = relay.end();
        let writes = writes.0.lock().unwrap().clone();
        (writes, end)
    }

    #[test]
    fn lines_arrive_whole_and_as_they_are() {
        let (writes, end) = relayed(&["epo", "ch 1\nepoch 2\nepo", "ch 3"]);
        assert_eq!(writes, ["epoch 1\nepoch 2\n", "epoch 3\n"]);
        assert_eq!(end, "epoch 1\nepoch 2\nepoch 3");
    }

    #[test]
    fn a_line_without_an_end_is_passed_on_all_the_same() {
        let long = "x".repeat(200_000);
        let (writes, end) = relayed(&[&long]);
        assert_eq!(writes.concat(), format!("{long}\n"));
        assert_eq!(end.len(), KEPT);
    }

    #[test]
    fn the_last_lines_are_those_that_a_person_would_see() {
        assert_eq!(last_lines("one\n\ntwo\n 10%\r 20%\r\nthree \n", 3), "two\n 20%\nthree");
        assert_eq!(last_lines("", 3), "");
    }
}
