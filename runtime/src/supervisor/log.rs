//! Container logs in the CRI format, with rotation.
//!
//! `2006-01-02T15:04:05.999999999Z stdout F line`: `F` ends a line, `P` marks a part of one that goes on in the next
//! entry. Source: Kubernetes design proposal "kubelet-cri-logging".

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::error::Context;

/// Longer lines are split, as containerd does.
const LONGEST_LINE: usize = 16 * 1024;

/// Where a container's output goes.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    max_bytes: u64,
    files: u32,
}

impl Log {
    /// Opens `path` for appending, made with its directory when missing. `max_bytes` 0: never rotated.
    pub fn open(path: &Path, max_bytes: u64, files: u32) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).context(|| format!("make {dir:?}"))?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Log {
            path: path.to_owned(),
            file,
            size,
            max_bytes,
            files,
        })
    }

    /// Appends whole entries. A full disk must not stop the container: the entries are lost then.
    pub fn write(&mut self, entries: &[u8]) {
        if entries.is_empty() {
            return;
        }
        if self.max_bytes > 0 && self.size > 0 && self.size + entries.len() as u64 > self.max_bytes {
            self.rotate();
        }
        if self.file.write_all(entries).is_ok() {
            self.size += entries.len() as u64;
        }
    }

    /// `log` → `log.1` → `log.2` …; the oldest goes. When that fails the log goes on growing.
    fn rotate(&mut self) {
        let name = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        let old = self.files.max(2) - 1;
        for n in (1..old).rev() {
            let _ = fs::rename(name(n), name(n + 1));
        }
        if fs::rename(&self.path, name(1)).is_ok()
            && let Ok(file) = append(&self.path)
        {
            self.file = file;
            self.size = 0;
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .context(|| format!("open log {path:?}"))
}

/// Makes entries of the bytes of one stream.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: &'static str,
    unfinished: Vec<u8>,
}

impl Lines {
    /// For `stdout` or `stderr`.
    pub fn new(stream: &'static str) -> Self {
        Lines {
            stream,
            unfinished: Vec::new(),
        }
    }

    /// Appends the entries that `bytes` complete to `entries`. `now` is the time stamp.
    pub fn feed(&mut self, mut bytes: &[u8], now: &str, entries: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let room = LONGEST_LINE - self.unfinished.len();
            let (line, rest, tag) = match bytes.iter().take(room + 1).position(|b| *b == b'\n') {
                Some(end) => (&bytes[..end], &bytes[end + 1..], b'F'),
                None if bytes.len() >= room => (&bytes[..room], &bytes[room..], b'P'),
                None => {
                    self.unfinished.extend_from_slice(bytes);
                    return;
                }
            };
            self.entry(line, tag, now, entries);
            bytes = rest;
        }
    }

    /// The stream has ended: what is left is a line without an end.
    pub fn finish(&mut self, now: &str, entries: &mut Vec<u8>) {
        if !self.unfinished.is_empty() {
            self.entry(b"", b'P', now, entries);
        }
    }

    fn entry(&mut self, line: &[u8], tag: u8, now: &str, entries: &mut Vec<u8>) {
        entries.extend_from_slice(now.as_bytes());
        entries.push(b' ');
        entries.extend_from_slice(self.stream.as_bytes());
        entries.extend_from_slice(&[b' ', tag, b' ']);
        entries.append(&mut self.unfinished);
        entries.extend_from_slice(line);
        entries.push(b'\n');
        if self.unfinished.capacity() > 1024 {
            self.unfinished = Vec::new();
        }
    }
}

/// The time stamp of an entry written now.
pub(crate) fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(lines: &mut Lines, bytes: &[u8]) -> String {
        let mut entries = Vec::new();
        lines.feed(bytes, "T", &mut entries);
        String::from_utf8(entries).unwrap()
    }

    #[test]
    fn a_line_is_one_entry_however_it_arrives() {
        let mut lines = Lines::new("stdout");
        assert_eq!(feed(&mut lines, b"one\ntw"), "T stdout F one\n");
        assert_eq!(feed(&mut lines, b""), "");
        assert_eq!(feed(&mut lines, b"o\n\n"), "T stdout F two\nT stdout F \n");
    }

    #[test]
    fn a_line_over_16_kib_comes_in_parts() {
        let mut lines = Lines::new("stderr");
        let long = vec![b'x'; LONGEST_LINE + 10];
        let mut got = feed(&mut lines, &long);
        got += &feed(&mut lines, b"\n");
        let x = "x".repeat(LONGEST_LINE);
        assert_eq!(got, format!("T stderr P {x}\nT stderr F xxxxxxxxxx\n"));
        // Exactly as long as the longest is whole when its end comes with it.
        let mut exact = vec![b'y'; LONGEST_LINE];
        exact.push(b'\n');
        assert_eq!(
            feed(&mut lines, &exact),
            format!("T stderr F {}\n", "y".repeat(LONGEST_LINE))
        );
    }

    #[test]
    fn the_last_line_without_an_end_is_partial() {
        let mut lines = Lines::new("stdout");
        assert_eq!(feed(&mut lines, b"no end"), "");
        let mut entries = Vec::new();
        lines.finish("T", &mut entries);
        assert_eq!(entries, b"T stdout P no end\n");
    }

    #[test]
    fn a_full_log_is_rotated_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pod/0.log");
        let mut log = Log::open(&path, 10, 3).unwrap();
        for entry in ["aaaaaaaa\n", "bbbbbbbb\n", "cccccccc\n", "dddddddd\n"] {
            log.write(entry.as_bytes());
        }
        let read = |name: &str| fs::read_to_string(dir.path().join("pod").join(name)).unwrap();
        assert_eq!(
            (read("0.log"), read("0.log.1"), read("0.log.2")),
            ("dddddddd\n".into(), "cccccccc\n".into(), "bbbbbbbb\n".into())
        );
        assert_eq!(fs::read_dir(dir.path().join("pod")).unwrap().count(), 3);
    }

    #[test]
    fn a_time_stamp_has_nine_digits_and_utc() {
        let now = now();
        assert_eq!(now.len(), "2006-01-02T15:04:05.999999999Z".len(), "{now}");
        assert!(now.ends_with('Z'));
    }
}
