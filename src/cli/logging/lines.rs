//! Where log lines go. Those of requests wait a moment for more of them: one call of the system for each would cost as much
//! as the rest of the line. All others are written at once, after what waits.

use std::io::{self, Write};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits at most; so much of the log is lost when the process is killed.
const WAIT: Duration = Duration::from_millis(50);
/// How many bytes wait at most.
const MANY: usize = 32 * 1024;

/// Lines on their way to `to`.
pub(super) struct Lines<W: Write> {
    waiting: Arc<Mutex<Waiting<W>>>,
    /// Writes what waits, when it has waited.
    writer: Thread,
}

struct Waiting<W> {
    lines: Vec<u8>,
    to: W,
}

/// Writes what still waits when it is dropped.
pub(in crate::cli) struct Guard<W: Write>(Arc<Mutex<Waiting<W>>>);

/// One line.
pub(super) struct Line<'a, W: Write> {
    lines: &'a Lines<W>,
    may_wait: bool,
}

impl<W: Write + Send + 'static> Lines<W> {
    pub(super) fn new(to: W) -> (Self, Guard<W>) {
        let waiting = Arc::new(Mutex::new(Waiting { lines: Vec::with_capacity(MANY), to }));
        let shared = waiting.clone();
        let writer = thread::spawn(move || {
            loop {
                thread::park();
                thread::sleep(WAIT);
                lock(&shared).write();
            }
        });
        (Self { waiting: waiting.clone(), writer: writer.thread().clone() }, Guard(waiting))
    }
}

impl<W: Write> Waiting<W> {
    /// A log that cannot be written is no reason to stop, and there is nobody left to tell.
    fn write(&mut self) {
        let lines = take(&mut self.lines);
        let _ = self.to.write_all(&lines).and_then(|()| self.to.flush());
        self.lines = lines;
        self.lines.clear();
    }
}

fn lock<W>(waiting: &Mutex<Waiting<W>>) -> MutexGuard<'_, Waiting<W>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Write> Drop for Guard<W> {
    fn drop(&mut self) {
        lock(&self.0).write();
    }
}

impl<W: Write> Write for Line<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = lock(&self.lines.waiting);
        if waiting.lines.is_empty() && self.may_wait {
            self.lines.writer.unpark();
        }
        waiting.lines.extend_from_slice(line);
        if !self.may_wait || waiting.lines.len() >= MANY {
            waiting.write();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, W: Write + 'a> MakeWriter<'a> for Lines<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { lines: self, may_wait: false }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        let may_wait = *meta.level() > Level::WARN && meta.target() == crate::http::REQUEST_LOG;
        Line { lines: self, may_wait }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    struct Seen(Sender<String>);

    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8(bytes.to_owned()).unwrap()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log() -> (Lines<Seen>, Guard<Seen>, Receiver<String>) {
        let (sender, seen) = channel();
        let (lines, guard) = Lines::new(Seen(sender));
        (lines, guard, seen)
    }

    fn write(lines: &Lines<Seen>, may_wait: bool, text: &str) {
        Line { lines, may_wait }.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_may_wait_is_written_with_what_may_not_and_before_it() {
        let (lines, _guard, seen) = log();
        write(&lines, true, "a\n");
        write(&lines, true, "b\n");
        write(&lines, false, "c\n");
        assert_eq!(seen.recv().unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn what_waits_is_written_after_a_moment_each_time() {
        let (lines, _guard, seen) = log();
        for line in ["a\n", "b\n"] {
            write(&lines, true, line);
            assert_eq!(seen.recv().unwrap(), line);
        }
    }

    #[test]
    fn no_more_than_so_much_waits() {
        let (lines, _guard, seen) = log();
        let line = "x".repeat(MANY / 2);
        write(&lines, true, &line);
        write(&lines, true, &line);
        let first = seen.try_recv().unwrap();
        assert!(first.len() >= MANY / 2, "{}", first.len());
    }

    #[test]
    fn what_waits_at_the_end_is_written() {
        let (lines, guard, seen) = log();
        write(&lines, true, "a\n");
        drop(guard);
        assert_eq!(seen.try_recv().unwrap(), "a\n");
    }
}
