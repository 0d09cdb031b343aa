//! Programs that are run to their end.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// Longer than anything that is run may take.
const LONGEST: Duration = Duration::from_secs(120);

/// What a program left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Exit code, 128 + signal when killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output of a program that succeeded.
    ///
    /// # Errors
    /// With everything it said, when its exit code is not 0.
    pub fn ok(self) -> Result<String> {
        if self.code != 0 {
            bail!("{self}");
        }
        Ok(self.stdout)
    }

    /// Standard error of a program that failed with this exit code.
    ///
    /// # Errors
    /// When it succeeded, or failed otherwise.
    pub fn fails(self, code: i32) -> Result<String> {
        ensure!(self.code == code, "exit code {code} was expected of\n{self}");
        Ok(self.stderr)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: exit code {}\n{}{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// Runs a command to its end, without input.
///
/// # Errors
/// When it can't be started or takes longer than two minutes (it is killed then).
pub fn run(command: &mut Command) -> Result<Output> {
    run_with_input(command, b"")
}

/// Runs a command to its end and gives it `input`.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<Output> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let text = words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {text}"))?;
    let pid = Pid::from_raw(i32::try_from(child.id())?).context("process id")?;
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    let mut stdin = child.stdin.take().context("standard input")?;
    let mut stdout = child.stdout.take().context("standard output")?;
    let mut stderr = child.stderr.take().context("standard error")?;
    let (stdout, stderr, in_time) = std::thread::scope(|scope| {
        scope.spawn(move || {
            // It may end without reading everything.
            let _ = stdin.write_all(input);
        });
        let read_all = |from: &mut dyn Read| {
            let mut bytes = Vec::new();
            let _ = from.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let stdout = scope.spawn(move || read_all(&mut stdout));
        let stderr = scope.spawn(move || read_all(&mut stderr));
        let limit = Timespec {
            tv_sec: LONGEST.as_secs() as i64,
            tv_nsec: 0,
        };
        let in_time =
            poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&limit)).is_ok_and(|ready| ready > 0);
        if !in_time {
            let _ = child.kill();
        }
        (
            stdout.join().unwrap_or_default(),
            stderr.join().unwrap_or_default(),
            in_time,
        )
    });
    let status = child.wait()?;
    let code = status
        .code()
        .or_else(|| std::os::unix::process::ExitStatusExt::signal(&status).map(|s| 128 + s));
    let output = Output {
        command: text,
        code: code.unwrap_or(-1),
        stdout,
        stderr,
    };
    ensure!(in_time, "did not end within {LONGEST:?}: {output}");
    Ok(output)
}
