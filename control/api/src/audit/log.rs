//! The log file: written by one thread, rotated by size, old ones removed by number and age.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    time::{Duration, SystemTime},
};

use serde_json::Value;

/// Events that wait for the disk; more are lost, and counted, rather than holding up requests.
const QUEUE: usize = 10_000;

/// When the log is rotated, and how long old ones stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Megabytes before a new file is begun.
    pub max_size: u64,
    /// How many old files stay; 0: all.
    pub max_backups: usize,
    /// How many days old files stay; 0: for ever.
    pub max_age: u64,
}

pub(super) struct Log {
    queue: SyncSender<Value>,
    lost: AtomicU64,
}

impl Log {
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let (queue, events) = mpsc::sync_channel(QUEUE);
        if path == Path::new("-") {
            start(move || write_all(&events, &mut io::stdout().lock()))?;
        } else {
            let mut file = Rotated::open(path, rotation)?;
            start(move || write_all(&events, &mut file))?;
        }
        Ok(Self {
            queue,
            lost: AtomicU64::new(0),
        })
    }

    pub(super) fn write(&self, event: Value) {
        match self.queue.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
                if lost.is_power_of_two() {
                    tracing::error!(
                        lost,
                        "audit events were lost: the disk is too slow, or writing failed"
                    );
                }
            }
        }
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name("audit".into())
        .spawn(work)
        .map(drop)
}

/// Until the server is gone.
fn write_all(events: &Receiver<Value>, out: &mut impl Write) {
    let mut failing = false;
    while let Ok(event) = events.recv() {
        let mut line = event.to_string();
        line.push('\n');
        // What queued up meanwhile goes out with one write.
        while line.len() < 64 << 10
            && let Ok(event) = events.try_recv()
        {
            line.push_str(&event.to_string());
            line.push('\n');
        }
        let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        match written {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "writing the audit log failed");
            }
            Err(_) => {}
        }
    }
}

/// A file that makes room for a new one when it is full.
struct Rotated {
    path: PathBuf,
    rotation: Rotation,
    file: BufWriter<File>,
    size: u64,
}

impl Rotated {
    fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            rotation,
            file: BufWriter::new(file),
            size,
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        let stamp = now.strftime("%Y-%m-%dT%H-%M-%S%.3f").to_string();
        let (stem, extension) = self.parts();
        fs::rename(
            &self.path,
            self.path.with_file_name(format!("{stem}-{stamp}{extension}")),
        )?;
        self.file = BufWriter::new(append(&self.path)?);
        self.size = 0;
        self.clean(SystemTime::now())
    }

    /// The name without its extension, and that, with its dot.
    fn parts(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
        let stem = text(self.path.file_stem()).unwrap_or_default();
        let extension = text(self.path.extension()).map(|e| format!(".{e}"));
        (stem, extension.unwrap_or_default())
    }

    /// Removes old files that are too many or too old.
    fn clean(&self, now: SystemTime) -> io::Result<()> {
        let (stem, extension) = self.parts();
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let mut old: Vec<(PathBuf, SystemTime)> = Vec::new();
        for entry in fs::read_dir(dir.unwrap_or(Path::new(".")))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_old = name
                .strip_prefix(&format!("{stem}-"))
                .and_then(|rest| rest.strip_suffix(&extension))
                .is_some_and(|stamp| stamp.starts_with(|c: char| c.is_ascii_digit()));
            if is_old {
                old.push((entry.path(), entry.metadata()?.modified()?));
            }
        }
        // The newest first; stamps sort like the times they are.
        old.sort_by(|a, b| b.0.cmp(&a.0));
        let longest = Duration::from_secs(self.rotation.max_age * 24 * 3600);
        for (index, (path, modified)) in old.into_iter().enumerate() {
            let too_many = self.rotation.max_backups > 0 && index >= self.rotation.max_backups;
            let too_old =
                self.rotation.max_age > 0 && now.duration_since(modified).is_ok_and(|age| age > longest);
            if too_many || too_old {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Write for Rotated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + bytes.len() as u64 > self.rotation.max_size << 20 {
            self.rotate()?;
        }
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_rotated_and_old_ones_go_by_number_and_age() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        fs::write(dir.path().join("audit-notes.log"), "not ours").unwrap();
        let rotation = Rotation {
            max_size: 1,
            max_backups: 2,
            max_age: 3,
        };
        let mut log = Rotated::open(&path, rotation).unwrap();
        let line = vec![b'x'; 600 << 10];
        for _ in 0..5 {
            log.write_all(&line).unwrap();
            log.flush().unwrap();
            // Files of the same millisecond would have the same name.
            std::thread::sleep(Duration::from_millis(2));
        }
        let names = || -> Vec<String> {
            let entries = fs::read_dir(dir.path()).unwrap();
            entries
                .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
                .collect()
        };
        // The present one, two old ones, and what only looks like one.
        assert_eq!(names().len(), 4, "{:?}", names());
        assert_eq!(fs::metadata(&path).unwrap().len(), line.len() as u64);
        log.clean(SystemTime::now() + Duration::from_secs(4 * 24 * 3600))
            .unwrap();
        let mut left = names();
        left.sort();
        assert_eq!(left, ["audit-notes.log", "audit.log"]);
    }
}
