//! Programs that run beside a test.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::DEADLINE;

/// A program whose lines are read as they come; killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Background {
    /// Starts it; standard error is read like standard output.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let (sender, lines) = channel();
        let stdout: Box<dyn std::io::Read + Send> = Box::new(child.stdout.take().context("standard output")?);
        let stderr = Box::new(child.stderr.take().context("standard error")?);
        for stream in [stdout, stderr] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    /// The next line that fulfils a condition.
    ///
    /// # Errors
    /// When the program ends before, or no such line comes within [`DEADLINE`].
    pub fn line(&mut self, is_it: impl Fn(&str) -> bool) -> Result<String> {
        let end = Instant::now() + DEADLINE;
        loop {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if is_it(&line) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the line did not come in time; until now:\n{}", self.text())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "it ended with {:?} before the line came:\n{}",
                        self.child.wait(),
                        self.text()
                    )
                }
            }
        }
    }

    /// Waits for its end and returns all its lines.
    ///
    /// # Errors
    /// When it does not end within [`DEADLINE`].
    pub fn end(mut self) -> Result<(i32, String)> {
        let end = Instant::now() + DEADLINE;
        loop {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => {
                    let code = self.child.wait()?.code().unwrap_or(-1);
                    return Ok((code, self.text()));
                }
                Err(RecvTimeoutError::Timeout) => bail!("it did not end in time:\n{}", self.text()),
            }
        }
    }

    /// All lines taken so far.
    pub fn text(&self) -> String {
        self.seen.join("\n")
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
